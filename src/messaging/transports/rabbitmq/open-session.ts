import type { ConfirmChannel } from 'amqplib'
import type { Clock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import { createCatalogue } from './catalogue.ts'
import type { RabbitmqDriver } from './driver.ts'
import { exists } from './ephemeral-runner.ts'
import { createLink, type Link } from './link.ts'
import { createMembers } from './members.ts'
import { createMovers } from './movers.ts'
import { namesUnder } from './names.ts'
import { createPublisher, type Publisher, type Route } from './publisher.ts'
import { lockedQueue } from './queues.ts'
import type { Session } from './session.ts'
import { createShelf, type Shelf } from './shelf.ts'
import { createTally, type Tally } from './tally.ts'
import type { RabbitmqPlace } from './url.ts'

export interface OpenOptions {
  readonly driver: RabbitmqDriver
  readonly place: RabbitmqPlace
  readonly clock: Clock
  readonly random: Random
  readonly messageBytesMax: number
  readonly patienceMs: number
  readonly reportError: (error: TreatyError) => void
  readonly signal?: AbortSignal
}

export interface OpenedSession {
  readonly session: Session
  close(): Promise<void>
}

/** How long it is believed that a channel is there, or not, that this process has not made. */
const hearsayMs = 5000

/** Connects, and makes the few queues that every process needs. @throws the BROKER_ codes */
export async function openSession(options: OpenOptions): Promise<OpenedSession> {
  const parts = new Parts(options)
  try {
    await parts.open()
  } catch (error) {
    await parts.closeLinks()
    throw error
  }
  return { session: parts.session, close: () => parts.close() }
}

/** The parts of a session, which know each other. */
class Parts {
  readonly #options: OpenOptions
  readonly #shelves = new Map<string, Shelf>()
  readonly #tallies = new Map<string, Tally>()
  /** When it was last asked whether a channel is there that the catalogue does not know. */
  readonly #hearsay = new Map<string, { readonly at: number; readonly route: Route | undefined }>()
  readonly session: Session

  constructor(options: OpenOptions) {
    this.#options = options
    const { clock, reportError, place } = options
    const names = namesUnder(place.prefix)
    const control = this.#controlLink()
    const publishing = this.#publishingLink()
    const runners: Session['runners'] = new Map()
    const shared = { link: control, clock, names }
    this.session = {
      clock,
      names,
      control,
      publishing,
      catalogue: createCatalogue(
        createShelf({ link: control, clock, queue: names.catalogue, lingerMs: 20 }),
        clock,
      ),
      members: createMembers({
        ...shared,
        onChange: (group) => runners.get(group)?.changed(),
        onFresh: () => this.#wake(),
        answer: (group) => runners.get(group)?.snapshot() ?? {},
      }),
      movers: createMovers({ ...shared, onMoved: (to, type) => this.#moved(to, type) }),
      publisher: this.#publisher(publishing),
      runners,
      ephemeral: new Map(),
      channels: new Map(),
      tallyOf: (address) => this.#tally(names.tally(address)),
      refusals: createTally({
        writing: publishing,
        reading: control,
        clock,
        queue: names.refusals,
      }),
      lettersOf: (group) => this.#shelf(group === null ? names.refused : names.dead(group)),
      reportError,
    }
  }

  #controlLink(): Link {
    const { driver, place, clock, random, reportError } = this.#options
    return createLink({
      driver,
      place,
      clock,
      random,
      purpose: 'lanes',
      onUp: () => this.#up(),
      onDown: (error) => {
        this.session.members.down()
        reportError(error)
      },
      onBlocked: (isBlocked) => this.#blocked(isBlocked),
    })
  }

  #publishingLink(): Link {
    const { driver, place, clock, random } = this.#options
    return createLink({
      driver,
      place,
      clock,
      random,
      purpose: 'publishing',
      onUp: () => this.session.publisher.wake(),
      onBlocked: (isBlocked) => this.#blocked(isBlocked),
    })
  }

  #publisher(link: Link): Publisher {
    const { place, clock, messageBytesMax, patienceMs } = this.#options
    return createPublisher({
      link,
      clock,
      names: namesUnder(place.prefix),
      messageBytesMax,
      patienceMs,
      routeOf: (address) => this.#routeOf(address),
      forgetRoute: (address) => void this.session.channels.delete(address),
      beforeDelayed: async () => {
        await this.session.movers.declare()
        this.session.movers.start()
      },
      onPublished: ({ address, type }, isDelayed) => {
        if (!this.session.channels.has(address)) return
        const tally = this.session.tallyOf(address)
        tally.add('published', type, 1)
        if (isDelayed) tally.add('scheduled', type, 1)
      },
    })
  }

  #shelf(queue: string): Shelf {
    const { control, clock } = this.session
    const known = this.#shelves.get(queue) ?? createShelf({ link: control, clock, queue })
    this.#shelves.set(queue, known)
    return known
  }

  #tally(queue: string): Tally {
    const { publishing, control, clock } = this.session
    const known =
      this.#tallies.get(queue) ??
      createTally({ writing: publishing, reading: control, clock, queue })
    this.#tallies.set(queue, known)
    return known
  }

  async open(): Promise<void> {
    const { signal } = this.#options
    await this.session.control.open(signal)
    await this.session.publishing.open(signal)
  }

  /** There is a connection: the first one, or a new one. */
  async #up(): Promise<void> {
    const { control, members, ephemeral, runners, movers } = this.session
    const channel = await control.channel()
    await this.#declareOwn(channel)
    await channel.close()
    await members.up()
    for (const runner of ephemeral.values()) await runner.declare()
    for (const runner of runners.values()) runner.changed()
    movers.up()
  }

  async #declareOwn(channel: ConfirmChannel): Promise<void> {
    const { names, control } = this.session
    const options = lockedQueue(control.place.queues)
    for (const queue of [names.catalogue, names.refused, names.refusals]) {
      await channel.assertQueue(queue, options)
    }
  }

  #wake(): void {
    const { runners, ephemeral } = this.session
    for (const { lanes } of [...runners.values(), ...ephemeral.values()]) lanes.wake()
  }

  #blocked(isBlocked: boolean): void {
    const { publisher, control } = this.session
    if (!isBlocked) {
      publisher.wake()
      return
    }
    this.#options.reportError(
      new TreatyError(
        'BROKER_FULL',
        `the RabbitMQ broker at ${control.place.name} has an alarm for memory or disk and takes no messages`,
        { hint: 'Free space on the broker or raise its limits; it goes on by itself then.' },
      ),
    )
  }

  #moved(exchange: string, type: string): void {
    const { channels, names } = this.session
    for (const address of channels.keys()) {
      if (names.exchange(address) === exchange)
        this.session.tallyOf(address).add('scheduled', type, -1)
    }
  }

  #routeOf(address: string): Route | undefined | Promise<Route | undefined> {
    const { channels, clock } = this.session
    const channel = channels.get(address)
    if (channel !== undefined) return { ...channel, isEphemeral: false }
    const heard = this.#hearsay.get(address)
    if (heard !== undefined && clock.monotonic() - heard.at < hearsayMs) return heard.route
    return this.#findRoute(address)
  }

  /** A channel that another process made: a lasting one, or the place for replies to a connection. */
  async #findRoute(address: string): Promise<Route | undefined> {
    const { catalogue, channels, control, names, clock } = this.session
    const found = (await catalogue.read(0)).channels.get(address)
    if (found !== undefined) {
      channels.set(address, found)
      return { ...found, isEphemeral: false }
    }
    const isThere = await exists(control, names.exchange(address))
    const route: Route | undefined = isThere
      ? { ordering: 'none', lanes: 1, isEphemeral: true }
      : undefined
    this.#hearsay.set(address, { at: clock.monotonic(), route })
    return route
  }

  async close(): Promise<void> {
    const { publisher, movers, members, refusals } = this.session
    publisher.close()
    await movers.close()
    const tallies = [...this.#tallies.values(), refusals]
    if (this.session.publishing.isUp) await Promise.all(tallies.map((tally) => tally.close()))
    await Promise.all([...this.#shelves.values()].map((shelf) => shelf.close()))
    await members.close()
    await this.closeLinks()
  }

  async closeLinks(): Promise<void> {
    await Promise.all([this.session.control.close(), this.session.publishing.close()])
  }
}
