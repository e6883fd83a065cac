import { delay } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { brokerErrorIds, isPassing } from './errors.ts'
import { encodeBatch, noSource, type PartitionBatch, produceApi } from './record-batch.ts'
import type { Server } from './url.ts'
import { hasMoved, type Line, type Wire, withPartErrors } from './wire.ts'

/** One record to be appended. */
export interface Appended {
  readonly topic: string
  readonly partition: number
  readonly key?: Buffer
  /** Null: a tombstone. */
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, string>
}
/** Its offset, or why it was refused. */
export type AppendResult = { readonly offset: number } | { readonly error: TreatyError }

/** Appends to logs, in the order of the calls, acknowledged by every replica in sync. */
export interface Producer {
  append(records: readonly Appended[]): Promise<AppendResult[]>
  /** The same, where one that is refused is an error of the whole. @throws TreatyError */
  appendAll(records: readonly Appended[]): Promise<number[]>
  close(): Promise<void>
}

interface Job {
  readonly record: Appended
  readonly bytes: number
  resolve(result: AppendResult): void
}
interface Identity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Records of one request for one partition: one batch, which has to stay under the limit of a topic. */
const batchBytesMax = 524_288
const requestBytesMax = 4_194_304
const boundMs = 10_000
const silenceMs = 10_000
const ackAll = -1

/**
 * One request at a time for each leading server, with everything that was asked for meanwhile: order survives, and more load makes larger
 * batches. With idempotence a request that is repeated after a lost answer is stored once.
 */
export function createProducer(wire: Wire): Producer {
  return new LogProducer(wire)
}

class LogProducer implements Producer {
  readonly #wire: Wire
  readonly #line: Line
  readonly #produce: ReturnType<typeof produceApi>
  readonly #queues = new Map<string, Job[]>()
  readonly #busy = new Set<string>()
  readonly #sequences = new Map<string, number>()
  #identity: Promise<Identity> | undefined
  #isClosed = false

  constructor(wire: Wire) {
    this.#wire = wire
    this.#line = wire.line({ requestMs: silenceMs })
    this.#produce = produceApi(wire.driver)
  }

  async append(records: readonly Appended[]): Promise<AppendResult[]> {
    const results = records.map(
      (record) =>
        new Promise<AppendResult>((resolve) => {
          const partition = `${record.topic}#${record.partition}`
          const job: Job = { record, bytes: sizeOf(record), resolve }
          const queue = this.#queues.get(partition)
          if (queue === undefined) this.#queues.set(partition, [job])
          else queue.push(job)
        }),
    )
    // Calls of one turn of the event loop share a request.
    queueMicrotask(() => void this.#pump())
    return Promise.all(results)
  }

  async appendAll(records: readonly Appended[]): Promise<number[]> {
    const results = await this.append(records)
    return results.map((result) => {
      if ('error' in result) throw result.error
      return result.offset
    })
  }

  async #pump(): Promise<void> {
    const waiting = [...this.#queues.keys()].filter((partition) => !this.#busy.has(partition))
    if (waiting.length === 0) return
    const leaders = await this.#leadersOf(waiting).catch(() => new Map<string, undefined>())
    const byServer = new Map<Server | undefined, string[]>()
    for (const partition of waiting) {
      if (this.#busy.has(partition) || !this.#queues.has(partition)) continue
      const server = leaders.get(partition)
      byServer.set(server, [...(byServer.get(server) ?? []), partition])
    }
    for (const partitions of byServer.values()) void this.#send(partitions)
  }

  async #leadersOf(
    partitions: readonly string[],
  ): Promise<ReadonlyMap<string, Server | undefined>> {
    const names = partitions.map((each) => each.slice(0, each.lastIndexOf('#')))
    const topics = await this.#wire.topics([...new Set(names)])
    return new Map(
      partitions.map((each, at) => {
        const number = Number(each.slice(each.lastIndexOf('#') + 1))
        return [each, topics.get(names[at] as string)?.leaders[number]]
      }),
    )
  }

  /** One request after another while there is something for these partitions. */
  async #send(partitions: readonly string[]): Promise<void> {
    for (const partition of partitions) this.#busy.add(partition)
    const batches = this.#take(partitions)
    try {
      await this.#deliver(batches)
    } finally {
      for (const partition of partitions) this.#busy.delete(partition)
      if (this.#queues.size > 0) void this.#pump()
    }
  }

  #take(partitions: readonly string[]): Map<string, Job[]> {
    const taken = new Map<string, Job[]>()
    let total = 0
    for (const partition of partitions) {
      const queue = this.#queues.get(partition) ?? []
      let bytes = 0
      let count = 0
      while (count < queue.length) {
        const { bytes: size } = queue[count] as Job
        const isFull = bytes + size > batchBytesMax || total + size > requestBytesMax
        if (isFull && (count > 0 || total > 0)) break
        bytes += size
        total += size
        count += 1
      }
      if (count > 0) taken.set(partition, queue.slice(0, count))
      if (count === queue.length) this.#queues.delete(partition)
      else this.#queues.set(partition, queue.slice(count))
    }
    return taken
  }

  /** Sends the batches until each is stored or refused. */
  async #deliver(batches: Map<string, Job[]>): Promise<void> {
    const { clock } = this.#wire
    const until = clock.monotonic() + boundMs
    let isDoubtful = false
    for (let attempt = 0; batches.size > 0; attempt += 1) {
      let failure: unknown
      try {
        failure = await this.#request(batches)
      } catch (error) {
        failure = error
        // The request may have been stored although its answer was lost.
        isDoubtful ||= !neverSent(error)
      }
      if (batches.size === 0) return
      const mayRepeat = isPassing(failure) || isLostIdentity(failure) || isMissing(failure)
      const bound = isMissing(failure) ? until - boundMs + 1500 : until
      if (this.#isClosed || !mayRepeat || clock.monotonic() >= bound) {
        this.#refuse(batches, failure, isDoubtful)
        return
      }
      await delay(clock, Math.min(500, 25 * 2 ** Math.min(attempt, 5)))
      if (isLostIdentity(failure)) this.#forgetIdentity()
      await this.#wire.topics(topicsOf(batches), true).catch(() => undefined)
    }
  }

  /** One request; what it settled leaves `batches`. The first failure of a part, if one did. */
  async #request(batches: Map<string, Job[]>): Promise<unknown> {
    const { driver, target } = this.#wire
    const leaders = await this.#leadersOf([...batches.keys()])
    const identity = target.isIdempotent ? await this.#identify() : undefined
    const byServer = new Map<Server, string[]>()
    for (const partition of batches.keys()) {
      const server = leaders.get(partition)
      if (server === undefined) continue
      byServer.set(server, [...(byServer.get(server) ?? []), partition])
    }
    if (byServer.size === 0) return missingTopic(driver)
    const failures = await Promise.all(
      [...byServer].map(([server, partitions]) =>
        this.#requestFrom(server, { batches, partitions, identity }).catch(
          (error: unknown) => error,
        ),
      ),
    )
    const failure = failures.find((each) => each !== undefined)
    if (failure !== undefined && brokerErrorIds(failure).size === 0) throw failure
    return failure ?? (batches.size > 0 ? missingTopic(driver) : undefined)
  }

  async #requestFrom(
    server: Server,
    asked: {
      readonly batches: Map<string, Job[]>
      readonly partitions: readonly string[]
      readonly identity: Identity | undefined
    },
  ): Promise<unknown> {
    const { batches, partitions, identity } = asked
    const { driver } = this.#wire
    const encoded = partitions.map((name) => this.#encode(name, batches.get(name) ?? [], identity))
    const answer = await withPartErrors(
      this.#line.call(server, this.#produce, ackAll, boundMs, encoded),
    )
    let failure: unknown
    for (const { name, partitionResponses } of answer.responses) {
      for (const part of partitionResponses) {
        const partition = `${name}#${part.index}`
        const jobs = batches.get(partition)
        if (jobs === undefined) continue
        // A repeat that the broker recognised is there, wherever it is.
        const isStored = part.errorCode === 0 || part.errorCode === duplicateSequence
        if (isStored) {
          this.#sequences.set(
            partition,
            ((this.#sequences.get(partition) ?? 0) + jobs.length) % 2 ** 31,
          )
          batches.delete(partition)
          const base = Number(part.baseOffset)
          for (const [at, job] of jobs.entries()) job.resolve({ offset: base < 0 ? -1 : base + at })
        } else if (isTooLarge(part.errorCode)) {
          batches.delete(partition)
          await this.#split(partition, jobs, part.errorMessage ?? '')
        } else failure ??= new driver.ProtocolError(part.errorCode)
      }
    }
    return failure
  }

  #encode(name: string, jobs: readonly Job[], identity: Identity | undefined): PartitionBatch {
    const { driver, clock } = this.#wire
    const sequence = this.#sequences.get(name) ?? 0
    const source = identity === undefined ? noSource : { ...identity, sequence }
    const records = jobs.map(({ record }) => record)
    const bytes = encodeBatch(records, source, { now: clock.now(), crc: driver.crc32c })
    const at = name.lastIndexOf('#')
    return { topic: name.slice(0, at), partition: Number(name.slice(at + 1)), bytes }
  }

  /** A batch that is too large may hold messages that are not. */
  async #split(partition: string, jobs: readonly Job[], why: string): Promise<void> {
    const [job] = jobs
    if (jobs.length === 1 && job !== undefined) {
      job.resolve({ error: tooLarge(job.record, why) })
      return
    }
    for (const each of jobs) await this.#deliver(new Map([[partition, [each]]]))
  }

  #refuse(batches: Map<string, Job[]>, failure: unknown, isDoubtful: boolean): void {
    if (isDoubtful) this.#forgetIdentity()
    const known = this.#wire.known(failure)
    for (const { record, resolve } of [...batches.values()].flat()) {
      if (isMissing(failure)) resolve({ error: noChannel(record.topic) })
      else if (isDoubtful && known.code === 'BROKER_UNREACHABLE')
        resolve({ error: unconfirmed(known) })
      else resolve({ error: known })
    }
  }

  #identify(): Promise<Identity> {
    this.#identity ??= this.#newIdentity().catch((error: unknown) => {
      this.#identity = undefined
      throw error
    })
    return this.#identity
  }

  async #newIdentity(): Promise<Identity> {
    const { api } = this.#wire.driver.initProducerIdV4
    const server = await this.#wire.anyServer()
    const answer = await this.#line.call(server, api, null, 0)
    this.#sequences.clear()
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
  }

  #forgetIdentity(): void {
    this.#identity = undefined
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#line.close()
  }
}

const duplicateSequence = 46
const isTooLarge = (code: number) => code === 10 || code === 18

/** Our view of the producer's state and the broker's differ: a new identity begins anew. */
function isLostIdentity(failure: unknown): boolean {
  const ids = brokerErrorIds(failure)
  return ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'INVALID_PRODUCER_EPOCH'].some(
    (id) => ids.has(id),
  )
}

function isMissing(failure: unknown): boolean {
  return hasMoved(failure) && brokerErrorIds(failure).has('UNKNOWN_TOPIC_OR_PARTITION')
}

function missingTopic(driver: Wire['driver']): unknown {
  return new driver.ProtocolError('UNKNOWN_TOPIC_OR_PARTITION')
}

/** No byte of it left: the connection could not be made. */
function neverSent(error: unknown): boolean {
  return /^Connection to .* (failed|timed out)/.test((error as Error).message ?? '')
}

function topicsOf(batches: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...batches.keys()].map((each) => each.slice(0, each.lastIndexOf('#'))))]
}

/** Bytes of a record in a batch, a little too high. */
function sizeOf({ key, value, headers }: Appended): number {
  let bytes = 32 + (key?.byteLength ?? 0) + (value?.byteLength ?? 0)
  for (const [name, text] of headers) bytes += name.length + text.length * 3 + 4
  return bytes
}

function tooLarge(record: Appended, why: string): TreatyError {
  const bytes = record.value?.byteLength ?? 0
  return new TreatyError(
    'MESSAGE_TOO_LARGE',
    `the broker refused a message of ${bytes} bytes on the topic '${record.topic}'${why === '' ? '' : `: ${why}`}`,
    {
      hint: 'Raise max.message.bytes of the topic, or send a reference to the content.',
      details: { bytes, topic: record.topic },
    },
  )
}

function noChannel(topic: string): TreatyError {
  return new TreatyError('CHANNEL_NOT_FOUND', `the topic '${topic}' is not there`, {
    hint: 'Start a process whose contract names the channel with topology: create, or create the topic.',
    details: { topic },
  })
}

function unconfirmed(cause: TreatyError): TreatyError {
  return new TreatyError(
    'PUBLISH_UNCONFIRMED',
    'the connection to Kafka ended before the message was confirmed',
    { hint: 'Publish again with the same id.', cause },
  )
}
