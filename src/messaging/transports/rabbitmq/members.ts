import { randomUUID } from 'node:crypto'
import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Clock, TimerHandle } from '../../../core/clock.ts'
import { createFreshness } from '../../lanes/freshness.ts'
import type { Link } from './link.ts'
import type { Names } from './names.ts'

/** What members say to each other. */
export interface MemberMessage {
  readonly kind: 'hello' | 'beat' | 'bye' | 'gone' | 'ask' | 'tell'
  readonly group: string
  readonly id: string
  /** With `gone`: who vanished. */
  readonly who?: string
  /** With `ask` and `tell`: which question. */
  readonly question?: string
  readonly answer?: unknown
}

export interface MembersOptions {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  /** Who is there changed in a group that was joined. */
  readonly onChange: (group: string) => void
  /** This process can prove again, or cannot any more, that the broker takes it for alive. */
  readonly onFresh: () => void
  /** What this process has to say about its lanes of a group. */
  readonly answer: (group: string) => unknown
}

/**
 * Who shares the lanes of each group. The list decides who should own a lane, the broker who does: one that is wrong costs delay, never order. It
 * also proves to this process that it is alive to the broker.
 */
export interface Members {
  /** Opens the queue of this connection; an earlier one went with its connection. */
  up(): Promise<void>
  down(): void
  join(group: string): Promise<void>
  leave(group: string): void
  /** This process among them; empty before it has joined. */
  of(group: string): readonly string[]
  readonly id: string
  /** The last proof is young enough to start a handler. */
  isFresh(): boolean
  /** Asks all members of a group; gives each answer to `take` until that says that it is enough, or time is up. */
  ask(
    group: string,
    options: { withinMs: number; take: (answer: unknown) => boolean },
  ): Promise<void>
  close(): Promise<void>
}

const beatMs = 1000
const goneMs = 3500
/** A timer of our own that was later than that says more about us than about others. */
const lateMs = 1500
const proofMs = 400
/** Six tenths of it is how old a proof may be; the broker drops a frozen peer four to six seconds after its last byte. */
const leaseMs = 5000
/** How many of those that follow are looked after, so that a crash is seen at once and many members cost little. */
const watched = 3

export function createMembers(options: MembersOptions): Members {
  return new QueueMembers(options)
}

class QueueMembers implements Members {
  readonly #options: MembersOptions
  readonly #freshness: ReturnType<typeof createFreshness>
  /** When each member of each group was last heard of. */
  readonly #groups = new Map<string, Map<string, number>>()
  readonly #questions = new Map<string, (answer: unknown) => void>()
  #id: string = randomUUID()
  #channel: ConfirmChannel | undefined
  #proofs: ConfirmChannel | undefined
  #timers: TimerHandle[] = []
  #beatAt = 0
  #wasFresh = false
  #isProving = false

  constructor(options: MembersOptions) {
    this.#options = options
    this.#freshness = createFreshness(options.clock, leaseMs)
  }

  get id(): string {
    return this.#id
  }

  isFresh(): boolean {
    return this.#channel !== undefined && this.#freshness.isFresh()
  }

  async up(): Promise<void> {
    const { link, names, clock } = this.#options
    // A name never revives: what was said about the last one holds for ever.
    this.#id = randomUUID()
    const queue = names.member(this.#id)
    const channel = await link.channel()
    await channel.assertExchange(names.members, 'direct', { durable: true })
    await channel.assertQueue(queue, {
      exclusive: true,
      autoDelete: true,
      durable: false,
      messageTtl: 5000,
      maxLength: 1000,
    })
    channel.on('return', ({ fields }) => this.#vanished(fields.routingKey))
    await channel.consume(queue, (message) => message && this.#hear(message), { noAck: true })
    this.#proofs = await link.channel()
    this.#channel = channel
    this.#beatAt = clock.monotonic()
    for (const group of this.#groups.keys()) await this.#enter(group)
    this.#every(beatMs, () => this.#beat())
    this.#every(proofMs, () => void this.#prove())
    await this.#prove()
  }

  down(): void {
    this.#channel = undefined
    this.#proofs = undefined
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer)
    this.#timers = []
    for (const view of this.#groups.values()) view.clear()
    this.#tellFresh()
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

  async join(group: string): Promise<void> {
    if (this.#groups.has(group)) return
    this.#groups.set(group, new Map())
    if (this.#channel !== undefined) await this.#enter(group)
  }

  async #enter(group: string): Promise<void> {
    const { names, clock } = this.#options
    const channel = this.#channel
    const view = this.#groups.get(group)
    if (channel === undefined || view === undefined) return
    view.clear()
    view.set(this.#id, clock.monotonic())
    await channel.bindQueue(names.member(this.#id), names.members, names.key(group))
    this.#say(group, 'hello')
  }

  leave(group: string): void {
    if (!this.#groups.delete(group)) return
    const { names } = this.#options
    this.#say(group, 'bye')
    this.#channel
      ?.unbindQueue(names.member(this.#id), names.members, names.key(group))
      .catch(() => undefined)
  }

  of(group: string): readonly string[] {
    const view = this.#groups.get(group)
    return view === undefined ? [] : [...view.keys()].sort()
  }

  #say(group: string, kind: MemberMessage['kind'], more: Partial<MemberMessage> = {}): void {
    const { names } = this.#options
    this.#publish(names.members, names.key(group), { kind, group, id: this.#id, ...more })
  }

  #tell(id: string, message: MemberMessage): void {
    this.#publish('', this.#options.names.member(id), message)
  }

  #publish(exchange: string, key: string, message: MemberMessage, mandatory = false): void {
    try {
      const content = Buffer.from(JSON.stringify(message))
      this.#channel?.publish(exchange, key, content, { mandatory })
    } catch {
      // The channel is ending; its connection tells.
    }
  }

  #hear(message: ConsumeMessage): void {
    const said = parsed(message)
    if (said === undefined || said.id === this.#id) return
    const { kind, group, id } = said
    if (kind === 'tell') {
      this.#questions.get(said.question ?? '')?.(said.answer)
      return
    }
    const view = this.#groups.get(group)
    if (view === undefined) return
    if (kind === 'ask') {
      const answer = this.#options.answer(group)
      const { question } = said
      this.#tell(id, {
        kind: 'tell',
        group,
        id: this.#id,
        ...(question === undefined ? {} : { question }),
        answer,
      })
    } else if (kind === 'bye') this.#remove(group, id)
    else if (kind === 'gone') this.#remove(group, said.who ?? '')
    else {
      const isNew = !view.has(id)
      view.set(id, this.#options.clock.monotonic())
      if (kind === 'hello') this.#tell(id, { kind: 'beat', group, id: this.#id })
      if (isNew) this.#options.onChange(group)
    }
  }

  #remove(group: string, id: string): void {
    if (id === this.#id || this.#groups.get(group)?.delete(id) !== true) return
    this.#options.onChange(group)
  }

  /** The queue of a member is gone, and the connection with it. */
  #vanished(queue: string): void {
    const { names } = this.#options
    for (const [group, view] of this.#groups) {
      for (const id of [...view.keys()]) {
        if (names.member(id) !== queue) continue
        this.#say(group, 'gone', { who: id })
        this.#remove(group, id)
      }
    }
  }

  #beat(): void {
    const { clock } = this.#options
    const now = clock.monotonic()
    const isLate = now - this.#beatAt > lateMs
    this.#beatAt = now
    for (const [group, view] of this.#groups) {
      view.set(this.#id, now)
      this.#say(group, 'beat')
      if (isLate) continue
      for (const [id, heardAt] of [...view]) if (now - heardAt > goneMs) this.#remove(group, id)
    }
  }

  /** Asks the broker something that only a living connection can: whether our own queue is there. */
  async #prove(): Promise<void> {
    const { names } = this.#options
    const channel = this.#proofs
    if (channel === undefined) return
    this.#watch()
    if (this.#isProving) {
      this.#tellFresh()
      return
    }
    const answered = this.#freshness.begin()
    this.#isProving = true
    try {
      await channel.checkQueue(names.member(this.#id))
      if (channel === this.#proofs) answered()
    } catch {
      // No connection, no proof.
    } finally {
      this.#isProving = false
    }
    this.#tellFresh()
  }

  #tellFresh(): void {
    const isFresh = this.isFresh()
    if (isFresh === this.#wasFresh) return
    this.#wasFresh = isFresh
    this.#options.onFresh()
  }

  /** A message to a queue that is gone comes back: so a crash is seen long before a beat is missed. */
  #watch(): void {
    const { names } = this.#options
    const others = new Set<string>()
    for (const view of this.#groups.values()) {
      const ids = [...view.keys()].sort()
      const at = ids.indexOf(this.#id)
      for (let step = 1; step <= Math.min(watched, ids.length - 1); step += 1) {
        others.add(ids[(at + step) % ids.length] as string)
      }
    }
    for (const id of others) {
      this.#publish('', names.member(id), { kind: 'beat', group: '', id: this.#id }, true)
    }
  }

  async ask(
    group: string,
    { withinMs, take }: { withinMs: number; take: (answer: unknown) => boolean },
  ): Promise<void> {
    const { names, clock } = this.#options
    if (this.#channel === undefined) return
    const question = randomUUID()
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, withinMs)
      this.#questions.set(question, (answer) => {
        if (!take(answer)) return
        clock.clearTimeout(timer)
        resolve()
      })
      this.#publish(names.members, names.key(group), { kind: 'ask', group, id: this.#id, question })
    })
    this.#questions.delete(question)
  }

  async close(): Promise<void> {
    for (const group of [...this.#groups.keys()]) this.leave(group)
    const channel = this.#channel
    this.down()
    // Awaited: said right before the connection ends, a farewell gets lost.
    await channel?.close().catch(() => undefined)
  }
}

function parsed({ content }: ConsumeMessage): MemberMessage | undefined {
  try {
    const said = JSON.parse(content.toString()) as MemberMessage
    return typeof said.kind === 'string' && typeof said.id === 'string' ? said : undefined
  } catch {
    return undefined
  }
}
