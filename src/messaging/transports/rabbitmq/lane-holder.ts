import { randomUUID } from 'node:crypto'
import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import type {
  LaneEntry,
  LaneGauges,
  LaneGroup,
  LaneWrite,
  WriteResult,
} from '../../lanes/driver.ts'
import { changeOf, count, counterOf, type LaneCounts, type OrderRecord } from './journal.ts'
import { ackTag, LaneAcks } from './lane-acks.ts'
import { LaneJournal } from './lane-journal.ts'
import { letterId, toMessage } from './letters.ts'
import type { Link } from './link.ts'
import { type LanePlace, laneName, type Names } from './names.ts'
import { type QueueKind, settled, unlimited } from './queues.ts'
import { barrier } from './shelf.ts'
import { fromWire } from './wire.ts'

export interface HolderOptions {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly group: string
  readonly place: LanePlace
  readonly lanes: LaneGroup
  /** It is over: lost, or given back. */
  readonly onEnd: (holder: LaneHolder) => void
  /** The lane is ours: the names of what its former owners, we perhaps, have surely ended. */
  readonly onOwned: (holder: LaneHolder, ended: ReadonlySet<string>) => void
  /** The channel ended before a write was confirmed, which named these as ended. Resolves when it is known what became of it. */
  readonly whenKnown: (lane: string, ended: readonly string[]) => Promise<WriteResult>
}

/** What a lane has counted and holds, for statistics. */
export interface LaneSnapshot {
  readonly counts: LaneCounts
  /** Messages by type that have not ended, without those that hold their key as dead letters. */
  readonly held: Readonly<Record<string, number>>
  readonly gauges: LaneGauges | undefined
}

/** A message of the lane that we hold. */
interface Held {
  readonly tag: number
  readonly type: string
  isBlocked: boolean
}

/** Messages a lane reads ahead. */
export const laneWindow = 256
/** A barrier that did not come back is sent again: whoever held the lane may have thrown it away as old. */
const barrierAgainMs = 5000
const proofMs = { quorum: 250, classic: 5000 } as const
/** What a former owner named as ended is gone from the lane after that. */
const inheritedMs = 30_000
/** What was unsettled when the lane came to us has been read after that. */
const readMs = 2000
const refreshEveryMs = 60_000
/** Names of messages that have ended, against copies that a publisher sends after its connection was cut. */
const rememberedMax = 2000
/** How long what somebody wants of a message is kept, in case the message is still to come. */
const orderMs = 30_000

/**
 * One lane of a group, from the wish to own it to its end. The lock is the journal's single active consumer. What the journal holds stays
 * unacknowledged, so the lane is read on a channel of its own, on which one frame can acknowledge many messages; when either channel ends, both do,
 * and nothing is acknowledged on the one that was not written down on the other before.
 */
export class LaneHolder {
  readonly #options: HolderOptions
  readonly name: string
  readonly #laneQueue: string
  readonly #journalQueue: string
  readonly #kind: QueueKind
  readonly #held = new Map<string, Held>()
  readonly #nonces = new Set<string>()
  readonly #passed = new Map<string, () => void>()
  #remembered = new Set<string>()
  #orders: { readonly order: OrderRecord; readonly tag: number; readonly at: number }[] = []
  #ended: ReadonlySet<string> = new Set()
  #wasClean = true
  /** The journal's, and that of dead letters. */
  #channel: ConfirmChannel | undefined
  #reading: ConfirmChannel | undefined
  #acks: LaneAcks | undefined
  #journal: LaneJournal | undefined
  #timers: TimerHandle[] = []
  #proof: TimerHandle | undefined
  #ownedAt = 0
  #state: 'claiming' | 'owned' | 'over' = 'claiming'
  isReleasing = false

  constructor(options: HolderOptions) {
    const { names, group, place, link } = options
    this.#options = options
    this.#kind = link.place.queues
    this.name = laneName(place)
    this.#laneQueue = names.lane(group, place.address, place.lane)
    this.#journalQueue = names.journal(group, place.address, place.lane)
  }

  get isOwned(): boolean {
    return this.#state === 'owned'
  }

  /** Waits for the lane, as long as another owns it, and begins to read. */
  claim(): void {
    this.#claim().catch(() => this.#over())
  }

  async #claim(): Promise<void> {
    const { link, clock, lanes, onOwned } = this.#options
    const channel = await link.channel(() => this.#over())
    if (this.#state === 'over') {
      await channel.close()
      return
    }
    const journal = new LaneJournal(channel, this.#journalQueue, {
      clock,
      kind: this.#kind,
    })
    this.#channel = channel
    this.#journal = journal
    await channel.prefetch(unlimited)
    await channel.consume(this.#journalQueue, (message) => {
      const nonce = message === null ? undefined : journal.arrived(message, this.#nonces)
      if (nonce !== undefined) this.#passed.get(nonce)?.()
    })
    // Only the active consumer gets it: the lane is ours.
    await this.#barrier(channel)
    // All that the last owner wrote before its channel ended stands before this one.
    await this.#barrier(channel)
    const found = journal.adopt()
    this.#ended = found.ended
    if (this.#kind === 'classic') for (const id of found.ended) this.#remember(id)
    this.#wasClean = found.isClean
    journal.onOrder = (order, tag) => this.#order(order, tag)
    // Before the first handler starts, so that an owner that dies at once leaves a mark.
    await journal.write([])
    journal.acknowledged()
    const reading = await this.#openReading(channel)
    this.#state = 'owned'
    this.#ownedAt = clock.monotonic()
    lanes.assign(this.name)
    for (const { order, tag } of found.orders) this.#order(order, tag)
    await reading.prefetch(laneWindow)
    await reading.consume(this.#laneQueue, (message) => message && this.#take(message))
    this.#every(refreshEveryMs, () => void this.#refresh())
    if (found.isUsed)
      this.#timers.push(clock.setTimeout(() => journal.dropInherited(), inheritedMs))
    onOwned(this, found.ended)
  }

  async #openReading(owner: ConfirmChannel): Promise<ConfirmChannel> {
    const reading = await this.#options.link.channel(() => this.#over())
    if (this.#channel !== owner) {
      // Over meanwhile: nobody else would close it.
      await reading.close()
      throw new Error('channel closed')
    }
    this.#reading = reading
    this.#acks = new LaneAcks(reading)
    return reading
  }

  async #barrier(channel: ConfirmChannel): Promise<void> {
    const { clock } = this.#options
    const nonce = randomUUID()
    this.#nonces.add(nonce)
    const passed = Promise.withResolvers<void>()
    this.#passed.set(nonce, passed.resolve)
    const end = new AbortController()
    const again = async () => {
      while (this.#state !== 'over') {
        channel.sendToQueue(this.#journalQueue, Buffer.alloc(0), barrier(nonce, clock.now()))
        await delay(clock, barrierAgainMs, end.signal)
      }
      throw new Error('channel closed')
    }
    const sending = again()
    sending.catch(() => undefined)
    try {
      await Promise.race([passed.promise, sending, this.#whenOver.promise])
    } finally {
      end.abort()
      this.#passed.delete(nonce)
    }
  }

  readonly #whenOver = withoutNoise(Promise.withResolvers<never>())

  #take(message: ConsumeMessage): void {
    const acks = this.#acks
    if (acks === undefined || this.#state !== 'owned') return
    const { place, lanes, clock } = this.#options
    const { deliveryTag: tag, redelivered } = message.fields
    acks.arrived(tag)
    const read = fromWire(message, place.address, clock.now())
    if (this.#isDone(read)) {
      acks.end([tag])
      return
    }
    const id = read.isUnique ? read.id : this.#freeName(read.id)
    this.#admitReplay(read, id)
    const state = this.#journal?.stateOf(id)
    this.#held.set(id, { tag, type: read.record.type, isBlocked: state?.blocked === true })
    const entry: LaneEntry = {
      id,
      record: read.record,
      ...(state === undefined ? {} : { state }),
      ...(redelivered && !this.#wasClean ? { suspect: true } : {}),
    }
    lanes.offer(this.name, [entry])
    if (this.#orders.length > 0) this.#obey()
  }

  /** Counted already, or a copy of what we have or had. */
  #isDone({ id, isUnique, replay }: ReturnType<typeof fromWire>): boolean {
    if (!isUnique) return false
    if (this.#ended.has(id) || this.#held.has(id) || this.#remembered.has(id)) return true
    const first = replay === undefined ? undefined : this.#journal?.replays.get(replay.letter)
    return first !== undefined && first !== id
  }

  /** A dead letter that came back does not count as dead any more. */
  #admitReplay({ replay, record }: ReturnType<typeof fromWire>, id: string): void {
    const journal = this.#journal
    if (replay === undefined || journal === undefined || journal.replays.has(replay.letter)) return
    journal.replays.set(replay.letter, id)
    count(journal.counts, record.type, replay.as, -1)
  }

  /** Messages of other programs may be alike in everything: the second has a number. */
  #freeName(id: string): string {
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? id : `${id}#${number}`
      if (!this.#held.has(name)) return name
    }
  }

  /** Makes the changes durable: dead letters, then the journal, then the acknowledgements. */
  async write(write: LaneWrite): Promise<WriteResult> {
    const [channel, journal] = [this.#channel, this.#journal]
    if (this.#state !== 'owned' || channel === undefined || journal === undefined) return 'fenced'
    let ended: readonly string[] = []
    try {
      await this.#keepLetters(channel, write)
      ended = this.#account(journal, write)
      const kept = write.kept.map(({ entry, state }) => journal.keep(entry.id, state))
      await Promise.race([Promise.all([...kept, journal.write(ended)]), this.#whenOver.promise])
      this.#settle(journal, write)
      return 'written'
    } catch {
      // What became of it is for the next owner to find; this one begins anew.
      this.#over()
      return ended.length === 0 ? 'fenced' : this.#options.whenKnown(this.name, ended)
    }
  }

  async #keepLetters(channel: ConfirmChannel, { ended, kept }: LaneWrite): Promise<void> {
    const { names, group, place } = this.#options
    const sent: Promise<void>[] = []
    const send = (
      { entry, letter }: LaneWrite['kept'][number] | LaneWrite['ended'][number],
      isBlocked: boolean,
      countedAs: 'dead' | 'expired',
    ) => {
      if (letter === undefined) return
      const { priority, causationId } = entry.record
      const { content, options } = toMessage({
        letter: { ...letter, id: letterId(group, this.name, entry.id) },
        origin: {
          lane: place.lane,
          entry: entry.id,
          isBlocked,
          countedAs,
          ...(priority === undefined ? {} : { priority }),
          ...(causationId === undefined ? {} : { causationId }),
        },
      })
      const confirmed = Promise.withResolvers<void>()
      channel.sendToQueue(names.dead(group), content, options, (error) =>
        error ? confirmed.reject(error) : confirmed.resolve(),
      )
      sent.push(confirmed.promise)
    }
    for (const each of ended) send(each, false, each.as === 'expired' ? 'expired' : 'dead')
    for (const each of kept) send(each, true, 'dead')
    if (sent.length > 0) await Promise.race([Promise.all(sent), this.#whenOver.promise])
  }

  /** Counts what changes; gives the names of what has ended and can come only once. */
  #account({ counts }: LaneJournal, { ended, kept }: LaneWrite): string[] {
    for (const { entry, as } of ended) {
      const counter = counterOf(as)
      if (counter !== undefined) count(counts, entry.record.type, counter, 1)
    }
    for (const { entry, why } of kept) {
      const change = changeOf(why)
      if (change !== undefined) count(counts, entry.record.type, ...change)
      const held = this.#held.get(entry.id)
      if (held !== undefined && change?.[0] === 'dead') held.isBlocked = why === 'blocked'
    }
    return ended.filter(({ entry }) => !entry.id.startsWith('~')).map(({ entry }) => entry.id)
  }

  #settle(journal: LaneJournal, { ended }: LaneWrite): void {
    const tags: number[] = []
    for (const { entry } of ended) {
      const held = this.#held.get(entry.id)
      if (held === undefined) continue
      this.#held.delete(entry.id)
      this.#remember(entry.id)
      tags.push(held.tag)
      journal.drop(entry.id)
    }
    this.#acks?.end(tags)
    journal.acknowledged()
    this.#prove()
  }

  #remember(id: string): void {
    if (id.startsWith('~')) return
    this.#remembered.add(id)
    if (this.#remembered.size > 2 * rememberedMax) {
      this.#remembered = new Set([...this.#remembered].slice(-rememberedMax))
    }
  }

  /** Soon, finds out whether the acknowledgements have arrived, so that the journal stays small. */
  #prove(): void {
    const { clock } = this.#options
    if (this.#proof !== undefined || this.#journal?.isToProve !== true) return
    this.#proof = clock.setTimeout(() => {
      const [reading, journal] = [this.#reading, this.#journal]
      if (reading === undefined || journal === undefined || this.isReleasing) return
      const since = clock.monotonic()
      settled(reading, this.#laneQueue)
        .then(() => {
          journal.proven(since)
          this.#proof = undefined
          this.#prove()
        })
        .catch(() => this.#over())
    }, proofMs[this.#kind])
  }

  #order(order: OrderRecord, tag: number): void {
    this.#orders.push({ order, tag, at: this.#options.clock.monotonic() })
    this.#obey()
  }

  /** Lets go, or ends, what holds its key. The order stays in the journal until that is written. */
  #obey(): void {
    const { lanes, clock } = this.#options
    this.#orders = this.#orders.filter(({ order, tag, at }) => {
      if (!lanes.unblock(this.name, order.entry, order.how)) {
        if (clock.monotonic() - at < orderMs) return true
        if (this.#channel !== undefined) ackTag(this.#channel, tag)
        return false
      }
      void lanes.flush().then(() => {
        if (this.#channel !== undefined && this.isOwned) ackTag(this.#channel, tag)
      })
      return false
    })
  }

  async #refresh(): Promise<void> {
    try {
      await this.#journal?.refresh((id) => this.#held.has(id))
      if (this.#orders.length > 0) this.#obey()
    } catch {
      this.#over()
    }
  }

  #every(pauseMs: number, run: () => void): void {
    const { clock } = this.#options
    const slot = this.#timers.length
    const arm = () => {
      this.#timers[slot] = clock.setTimeout(() => {
        arm()
        run()
      }, pauseMs)
    }
    arm()
  }

  snapshot(): LaneSnapshot | undefined {
    const journal = this.#journal
    if (journal === undefined || !this.isOwned) return undefined
    const held: Record<string, number> = Object.create(null) as Record<string, number>
    for (const { type, isBlocked } of this.#held.values()) {
      if (!isBlocked) held[type] = (held[type] ?? 0) + 1
    }
    return { counts: journal.counts, held, gauges: this.#options.lanes.gaugesOf(this.name) }
  }

  /** Gives the lane back once its handlers have ended, or at once with `isLeft`, when they are left behind. */
  async release(isLeft = false): Promise<void> {
    if (this.isReleasing && !isLeft) return
    this.isReleasing = true
    const { lanes } = this.#options
    const [channel, reading, journal] = [this.#channel, this.#reading, this.#journal]
    if (!this.isOwned || channel === undefined || reading === undefined || journal === undefined) {
      await this.#leave()
      return
    }
    if (!isLeft) await lanes.drain(this.name)
    else lanes.forget(this.name)
    if (!this.isOwned) return
    try {
      await settled(reading, this.#laneQueue)
      journal.proven(Number.POSITIVE_INFINITY)
      if (this.#options.clock.monotonic() - this.#ownedAt > readMs) journal.dropInherited()
      // What a classic queue has not written down yet comes again should the broker be killed.
      const ended = this.#kind === 'classic' ? [...this.#remembered].slice(-rememberedMax) : []
      await Promise.race([journal.write(ended, true), this.#whenOver.promise])
      await settled(channel, this.#journalQueue)
    } catch {
      // Then the next owner takes what is left with more care.
    }
    await this.#leave()
  }

  async #leave(): Promise<void> {
    const channels = [this.#reading, this.#channel]
    this.#over()
    await Promise.all(channels.map((channel) => channel?.close().catch(() => undefined)))
  }

  /** The lane is not ours any more. */
  #over(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    const { clock, lanes, onEnd } = this.#options
    lanes.forget(this.name)
    for (const timer of this.#timers) if (timer !== undefined) clock.clearTimeout(timer)
    if (this.#proof !== undefined) clock.clearTimeout(this.#proof)
    const channels = [this.#reading, this.#channel]
    this.#reading = undefined
    this.#acks = undefined
    this.#channel = undefined
    this.#whenOver.reject(new Error('channel closed'))
    // A channel that goes on would keep the lane from everybody.
    for (const channel of channels) void channel?.close().catch(() => undefined)
    onEnd(this)
  }
}

function withoutNoise<Value>(resolvers: PromiseWithResolvers<Value>): PromiseWithResolvers<Value> {
  resolvers.promise.catch(() => undefined)
  return resolvers
}
