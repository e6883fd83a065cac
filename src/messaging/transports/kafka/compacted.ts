import type { Producer } from './producer.ts'
import { type LogRecord, offsetsOf, type Reach, readToEnd, startOfLog } from './reader.ts'
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
  /** Offset of the oldest record that is kept, as of the last reading. */
  readonly start: number
  /** Offset up to which it was read. */
  readonly next: number
}

/** Follows a topic; `take` gets each record in order, tombstones too. */
export function followCompacted(options: {
  readonly wire: Wire
  readonly line: Line
  readonly producer: Producer
  readonly topic: string
  take(record: LogRecord): void
}): CompactedTopic {
  const { wire, line, producer, topic } = options
  let next = 0
  let start = 0
  let reading: Promise<boolean> | undefined
  let following: Promise<boolean> | undefined

  async function read(): Promise<boolean> {
    const found = await wire.topics([topic])
    const isThere = found.has(topic) || (await wire.topics([topic], true)).has(topic)
    if (!isThere) return false
    const place = { topic, partition: 0 }
    if (next === 0) {
      start = (await offsetsOf(wire, [place], startOfLog)).get(`${topic}#0`) ?? 0
      next = start
    }
    const reach: Reach = { ...place, offset: next, bytesMax: 4_194_304 }
    for await (const chunk of readToEnd(wire, line, [reach])) {
      for (const record of chunk.records) options.take(record)
      next = Math.max(next, chunk.next)
      start = Math.max(start, chunk.start)
    }
    return true
  }

  /** One that begins after now: what the one under way has seen may be older than the call. */
  function refresh(): Promise<boolean> {
    if (reading === undefined) {
      reading = read().finally(() => {
        reading = undefined
      })
      return reading
    }
    following ??= reading
      .catch(() => undefined)
      .then(() => {
        following = undefined
        return refresh()
      })
    return following
  }

  return {
    topic,
    get start() {
      return start
    },
    get next() {
      return next
    },
    refresh,
    async put(key, value, headers = new Map()) {
      const record = { topic, partition: 0, key: Buffer.from(key), value, headers }
      const [offset] = await producer.appendAll([record])
      return offset as number
    },
    async at(offset) {
      const reach: Reach = { topic, partition: 0, offset, bytesMax: 1 }
      for await (const chunk of readToEnd(wire, line, [reach])) {
        return chunk.records.find((record) => record.offset === offset)
      }
      return undefined
    },
  }
}
