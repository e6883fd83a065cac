import type { LogRecord } from './log-record.ts'
import type { Producer } from './producer.ts'
import { offsetsOf, type Reach, readToEnd, startOfLog } from './reader.ts'
import type { Line, Wire } from './wire.ts'

/** A topic of one partition that keeps the last record of each key, followed in memory. */
export interface CompactedTopic {
  /** Reads on to the end; calls at the same time share one reading. False: the topic is not there. */
  refresh(): Promise<boolean>
  /** Writes one record; null takes the key away. Its offset. Does not wait until it was read back. */
  put(key: string, value: Buffer | null, headers?: ReadonlyMap<string, string>): Promise<number>
  /** The record at exactly this offset, if it is kept. */
  at(offset: number): Promise<LogRecord | undefined>
  readonly topic: string
}

export interface FollowOptions {
  readonly wire: Wire
  readonly line: Line
  readonly producer: Producer
  readonly topic: string
  take(record: LogRecord): void
}

const readBytes = 4_194_304

/** Follows a topic; `take` gets each record in order, tombstones too. */
export function followCompacted(options: FollowOptions): CompactedTopic {
  return new Follower(options)
}

class Follower implements CompactedTopic {
  readonly #options: FollowOptions
  #next: number | undefined
  #reading: Promise<boolean> | undefined
  #following: Promise<boolean> | undefined

  constructor(options: FollowOptions) {
    this.#options = options
  }

  get topic(): string {
    return this.#options.topic
  }

  /** A reading that begins after now: what the one under way has seen may be older than the call. */
  refresh(): Promise<boolean> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
      return this.#reading
    }
    this.#following ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined
        return this.refresh()
      })
    return this.#following
  }

  async #read(): Promise<boolean> {
    const { wire, line, topic } = this.#options
    const place = { topic, partition: 0 }
    const found = await wire.topics([topic])
    const isThere = found.has(topic) || (await wire.topics([topic], true)).has(topic)
    if (!isThere) return false
    this.#next ??= (await offsetsOf(wire, [place], startOfLog)).get(`${topic}#0`) ?? 0
    const reach: Reach = { ...place, offset: this.#next, bytesMax: readBytes }
    for await (const chunk of readToEnd(wire, line, [reach])) {
      for (const record of chunk.records) this.#options.take(record)
      this.#next = Math.max(this.#next, chunk.next)
    }
    return true
  }

  async put(
    key: string,
    value: Buffer | null,
    headers: ReadonlyMap<string, string> = new Map(),
  ): Promise<number> {
    const { producer, topic } = this.#options
    const record = { topic, partition: 0, key: Buffer.from(key), value, headers }
    const [offset] = await producer.appendAll([record])
    return offset as number
  }

  async at(offset: number): Promise<LogRecord | undefined> {
    const { wire, line, topic } = this.#options
    const reach: Reach = { topic, partition: 0, offset, bytesMax: 1 }
    for await (const chunk of readToEnd(wire, line, [reach])) {
      return chunk.records.find((record) => record.offset === offset)
    }
    return undefined
  }
}
