import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Clock } from '../../../core/clock.ts'
import type { EntryState } from '../../lanes/driver.ts'
import {
  type Found,
  foundIn,
  type JournalRecord,
  type LaneCounts,
  type LaneRecord,
  type OrderRecord,
  parseJournal,
} from './journal.ts'
import { ackTag } from './lane-acks.ts'
import type { QueueKind } from './queues.ts'
import { barrierOf } from './shelf.ts'

/** A record that stands in the journal. Its tag is known once the broker has handed it to its only reader, us. */
interface Standing {
  readonly n: number
  tag?: number
  /** Replaced: it goes as soon as its tag is known. */
  isOver?: boolean
  /** Milliseconds, monotonic. */
  readonly writtenAt: number
}

/**
 * Before this time has passed after an acknowledgement, it is not taken for done. A classic queue writes acknowledgements down with the next
 * message that it has to keep, so a broker that is killed hands out again what was acknowledged since.
 */
const spacingMs = { quorum: 50, classic: 30_000 } as const
/** The broker closes a channel that holds a message longer than its `consumer_timeout`, by default 30 minutes. */
const refreshMs = 600_000
const staleMs = 3_600_000
/** Dead letters that came back are remembered so long, and so many of them. */
const replaysMax = 2000

/** What the journal of one lane holds while we own it; it decides which records may go. */
export class LaneJournal {
  readonly #clock: Clock
  readonly #channel: ConfirmChannel
  readonly #queue: string
  readonly #kind: QueueKind
  readonly #entries = new Map<string, Standing & { readonly state: EntryState }>()
  /** Newest last. */
  #lanes: (Standing & { ackedAt?: number })[] = []
  #inherited: readonly number[] = []
  #reading: { record: JournalRecord; tag: number }[] | undefined = []
  readonly #barriers = new Map<string, number>()
  #n = 0
  counts: LaneCounts = {}
  replays = new Map<string, string>()
  onOrder: (order: OrderRecord, tag: number) => void = () => undefined

  constructor(channel: ConfirmChannel, queue: string, about: { clock: Clock; kind: QueueKind }) {
    this.#channel = channel
    this.#queue = queue
    this.#clock = about.clock
    this.#kind = about.kind
  }

  /** A message of the journal. Its nonce when it is a barrier of our own. */
  arrived(message: ConsumeMessage, own: ReadonlySet<string>): string | undefined {
    const { deliveryTag: tag } = message.fields
    const found = barrierOf(message, this.#clock.now())
    if (found !== undefined) {
      const { nonce, isOld } = found
      if (own.has(nonce) || isOld) this.#ack(tag)
      else this.#keepBarrier(nonce, tag)
      return own.has(nonce) ? nonce : undefined
    }
    const record = parseJournal(message)
    if (record === undefined) this.#ack(tag)
    else if (this.#reading !== undefined) this.#reading.push({ record, tag })
    else if (record.kind === 'order') this.onOrder(record, tag)
    else this.#stands(record, tag)
    return undefined
  }

  /** Whoever waits for the lane gets its newest mark when we go. */
  #keepBarrier(nonce: string, tag: number): void {
    const before = this.#barriers.get(nonce)
    this.#barriers.set(nonce, tag)
    if (before !== undefined) this.#ack(before)
  }

  /** All that the last owner wrote has been read. */
  adopt(): Found {
    const found = foundIn(this.#reading ?? [])
    this.#reading = undefined
    this.#n = found.n
    this.counts = found.counts
    this.replays = found.replays
    this.#inherited = found.laneTags
    const writtenAt = this.#clock.monotonic()
    for (const [id, { n, state, tag }] of found.states) {
      this.#entries.set(id, { n, state, tag, writtenAt })
    }
    for (const tag of found.replaced) this.#ack(tag)
    return found
  }

  #stands(record: Exclude<JournalRecord, OrderRecord>, tag: number): void {
    const standing =
      record.kind === 'entry'
        ? this.#entries.get(record.id)
        : this.#lanes.find(({ n }) => n === record.n)
    // A record that was replaced before it came, or one of a former owner that came late.
    if (standing === undefined || standing.n !== record.n || standing.isOver === true) {
      this.#ack(tag)
      if (record.kind === 'lane') this.#lanes = this.#lanes.filter((each) => each !== standing)
    } else standing.tag = tag
  }

  /** Writes the state of a message. Resolves when it is durable. */
  async keep(id: string, state: EntryState): Promise<void> {
    const n = this.#next()
    this.drop(id)
    this.#entries.set(id, { n, state, writtenAt: this.#clock.monotonic() })
    await this.#send({ kind: 'entry', n, id, state })
  }

  /** The message has ended. */
  drop(id: string): void {
    const standing = this.#entries.get(id)
    if (standing === undefined) return
    this.#entries.delete(id)
    // Without a tag yet, it goes when it comes.
    if (standing.tag !== undefined) this.#ack(standing.tag)
  }

  stateOf(id: string): EntryState | undefined {
    return this.#entries.get(id)?.state
  }

  /** Writes the lane as a whole. Resolves when it is durable. */
  async write(ended: readonly string[], isClean = false): Promise<void> {
    const n = this.#next()
    this.#lanes.push({ n, writtenAt: this.#clock.monotonic() })
    const replays = [...this.replays].slice(-replaysMax)
    const record: LaneRecord = { kind: 'lane', n, counts: this.counts, ended, isClean, replays }
    await this.#send(record)
  }

  /** The messages that were named as ended in what is written so far have been acknowledged. */
  acknowledged(): void {
    const now = this.#clock.monotonic()
    for (const lane of this.#lanes) lane.ackedAt ??= now
  }

  get isToProve(): boolean {
    return this.#lanes.length > 1
  }

  /** The broker has surely taken the acknowledgements that were sent before `since`: older records of the lane may go. */
  proven(since: number): void {
    const newest = this.#lanes.at(-1)
    this.#lanes = this.#lanes.filter((lane) => {
      if (
        lane === newest ||
        (lane.ackedAt ?? Number.POSITIVE_INFINITY) > since - spacingMs[this.#kind]
      )
        return true
      lane.isOver = true
      if (lane.tag === undefined) return true
      this.#ack(lane.tag)
      return false
    })
  }

  /** What the last owners named as ended is surely gone. */
  dropInherited(): void {
    for (const tag of this.#inherited) this.#ack(tag)
    this.#inherited = []
  }

  /** Writes again what has stood for long, and lets go what belongs to no message any more. */
  async refresh(isHeld: (id: string) => boolean): Promise<void> {
    const now = this.#clock.monotonic()
    const isOld = ({ writtenAt }: Standing) => now - writtenAt > refreshMs
    for (const [id, standing] of [...this.#entries]) {
      if (!isOld(standing)) continue
      const isStale = (standing.state.dueAt ?? 0) + staleMs < this.#clock.now()
      if (!isHeld(id) && isStale) this.drop(id)
      else await this.keep(id, standing.state)
    }
    if (this.#lanes.every(isOld)) await this.write([])
  }

  #next(): number {
    this.#n += 1
    return this.#n
  }

  #send(record: JournalRecord): Promise<void> {
    const content = Buffer.from(JSON.stringify(record))
    return new Promise((resolve, reject) => {
      this.#channel.sendToQueue(this.#queue, content, { persistent: true }, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
  }

  #ack(deliveryTag: number): void {
    ackTag(this.#channel, deliveryTag)
  }
}
