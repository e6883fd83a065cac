import { fetchApi } from './fetch.ts'
import type { LogRecord } from './log-record.ts'
import type { Place } from './names.ts'
import type { Server } from './url.ts'
import { hasMoved, type Line, type Wire } from './wire.ts'

/** Where reading goes on in one partition. */
export interface Reach extends Place {
  readonly offset: number
  /** Bytes of one answer, roughly; one batch comes even if it is larger. */
  readonly bytesMax?: number
}
export interface LogChunk extends Place {
  readonly records: readonly LogRecord[]
  /** Where to read on: also behind what is no message. */
  readonly next: number
  /** Offset behind the last message that every reader may see. */
  readonly end: number
  readonly start: number
  /** 0, or a code of Kafka's. */
  readonly errorCode: number
}

const chunkBytesDefault = 262_144
const answerBytesMax = 16_777_216
/** Only what committed transactions wrote. */
const readCommitted = 1
export const offsetOutOfRange = 1
const topicGone = 3
/** Those after which reading goes on. */
const tellingCodes: readonly number[] = [0, offsetOutOfRange, topicGone]

/** Reads on from each place once, waiting up to `waitMs` for anything. Errors of a part are in its chunk. */
export async function readLogs(
  wire: Wire,
  line: Line,
  asked: { readonly reaches: readonly Reach[]; readonly waitMs: number },
): Promise<LogChunk[]> {
  const byServer = await leadersOf(wire, asked.reaches)
  const answers = await Promise.all(
    [...byServer].map(([server, reaches]) => readFrom(wire, line, { ...asked, server, reaches })),
  )
  return withStarts(wire, answers.flat())
}

/** An answer "out of range" does not say what is in range. */
async function withStarts(wire: Wire, chunks: LogChunk[]): Promise<LogChunk[]> {
  const lost = chunks.filter(({ errorCode }) => errorCode === offsetOutOfRange)
  if (lost.length === 0) return chunks
  const starts = await offsetsOf(wire, lost, startOfLog)
  return chunks.map((chunk) => {
    const start = lost.includes(chunk) ? starts.get(`${chunk.topic}#${chunk.partition}`) : undefined
    return start === undefined ? chunk : { ...chunk, start }
  })
}

async function leadersOf<Each extends Place>(
  wire: Wire,
  places: readonly Each[],
): Promise<ReadonlyMap<Server, Each[]>> {
  const topics = await wire.topics([...new Set(places.map(({ topic }) => topic))])
  const byServer = new Map<Server, Each[]>()
  for (const place of places) {
    const server = topics.get(place.topic)?.leaders[place.partition]
    if (server === undefined) continue
    const list = byServer.get(server)
    if (list === undefined) byServer.set(server, [place])
    else list.push(place)
  }
  return byServer
}

async function readFrom(
  wire: Wire,
  line: Line,
  asked: { readonly server: Server; readonly reaches: readonly Reach[]; readonly waitMs: number },
): Promise<LogChunk[]> {
  const { server, reaches, waitMs } = asked
  const offsets = new Map(
    reaches.map((reach) => [`${reach.topic} ${reach.partition}`, reach.offset]),
  )
  const topics = groupByTopic(reaches).map(([topicId, parts]) => ({
    topicId,
    partitions: parts.map(({ partition, offset, bytesMax }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: bytesMax ?? chunkBytesDefault,
    })),
  }))
  // Session epoch -1: the server keeps no state of ours.
  const answer = await line.call(
    server,
    fetchApi(wire.driver),
    waitMs,
    1,
    answerBytesMax,
    readCommitted,
    0,
    -1,
    topics,
    [],
    '',
  )
  return answer.flatMap(({ topic, partitions }) =>
    partitions.map(({ read, ...part }): LogChunk => {
      const { records, next } = read(offsets.get(`${topic} ${part.partition}`) ?? 0)
      return { topic, ...part, records, next }
    }),
  )
}

function groupByTopic<Each extends Place>(places: readonly Each[]): [string, Each[]][] {
  const byTopic = new Map<string, Each[]>()
  for (const place of places) {
    const list = byTopic.get(place.topic)
    if (list === undefined) byTopic.set(place.topic, [place])
    else list.push(place)
  }
  return [...byTopic]
}

export const endOfLog = -1n
export const startOfLog = -2n

/** An offset of each partition by `topic#partition`: its end or start, or that of the first message at or after an instant. */
export async function offsetsOf(
  wire: Wire,
  places: readonly Place[],
  timestamp: bigint = endOfLog,
): Promise<ReadonlyMap<string, number>> {
  if (places.length === 0) return new Map()
  // A server that leads a partition since a moment ago may not know of it yet; a topic that is gone has no leader.
  const options = { alsoPassing: hasMoved }
  return wire.persist(async (isAgain) => {
    if (isAgain) await wire.topics([...new Set(places.map(({ topic }) => topic))], true)
    const found = new Map<string, number>()
    for (const [server, list] of await leadersOf(wire, places)) {
      const topics = groupByTopic(list).map(([name, parts]) => ({
        name,
        partitions: parts.map(({ partition }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: -1,
          timestamp,
        })),
      }))
      const { api } = wire.driver.listOffsetsV7
      const answer = await wire.control.call(server, api, -1, readCommitted, topics)
      for (const { name, partitions } of answer.topics) {
        for (const part of partitions) {
          found.set(`${name}#${part.partitionIndex}`, Number(part.offset))
        }
      }
    }
    return found
  }, options)
}

/**
 * Reads from each place to the end that its log has when this begins, and gives the chunks in order. Partitions whose topic is gone are left
 * out; what retention took away meanwhile is passed over.
 */
export async function* readToEnd(
  wire: Wire,
  line: Line,
  from: readonly Reach[],
): AsyncGenerator<LogChunk> {
  const ends = await offsetsOf(wire, from)
  let open = from.filter(
    (reach) => reach.offset < (ends.get(`${reach.topic}#${reach.partition}`) ?? 0),
  )
  while (open.length > 0) {
    const chunks = await wire.persist((isAgain) => readAgain(wire, line, { open, isAgain }))
    const progress = new Map<string, Reach>(
      open.map((reach) => [`${reach.topic}#${reach.partition}`, reach]),
    )
    for (const chunk of chunks) {
      const name = `${chunk.topic}#${chunk.partition}`
      const reach = progress.get(name)
      if (reach === undefined) continue
      // Out of range: what was to be read is not kept any more.
      const isLost = chunk.errorCode === offsetOutOfRange
      const next = isLost ? Math.max(chunk.start, reach.offset + 1) : chunk.next
      if (chunk.errorCode === 0) yield chunk
      const isOver = next >= (ends.get(name) ?? 0) || chunk.errorCode === topicGone
      if (isOver) progress.delete(name)
      else progress.set(name, { ...reach, offset: next })
    }
    open = [...progress.values()]
  }
}

async function readAgain(
  wire: Wire,
  line: Line,
  { open, isAgain }: { open: readonly Reach[]; isAgain: boolean },
): Promise<LogChunk[]> {
  if (isAgain) await wire.topics([...new Set(open.map(({ topic }) => topic))], true)
  const chunks = await readLogs(wire, line, { reaches: open, waitMs: 100 })
  const failed = chunks.find(({ errorCode }) => !tellingCodes.includes(errorCode))
  // Its leader has moved, perhaps: asking the same server again at once would go on for long.
  if (failed !== undefined) throw new wire.driver.ProtocolError(failed.errorCode)
  return chunks
}
