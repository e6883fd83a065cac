import { delay } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { brokerErrorIds, isPassing, isPerhapsStored } from './errors.ts'
import { laneName, type Place } from './names.ts'
import { encodeBatch, noSource, type PartitionBatch, produceApi } from './record-batch.ts'
import { type BatchRecord, encodeTail, type RecordTail, TailWriter } from './record-tail.ts'
import { readConfigs } from './topics.ts'
import type { Server } from './url.ts'
import { hasMoved, type Line, type Wire, withPartErrors } from './wire.ts'

/** One record to be appended. */
export interface Appended extends Place, BatchRecord {}
/** The same, encoded already. */
export interface Encoded extends Place {
  readonly tail: RecordTail
}
/** Its offset, -1 where it is not known; or why it was refused. */
export type AppendResult = number | TreatyError

/** Appends to logs, in the order of the calls, acknowledged by every replica in sync. */
export interface Producer {
  append(records: readonly Encoded[]): Promise<readonly AppendResult[]>
  /** The same, where one that is refused is an error of the whole. @throws TreatyError */
  appendAll(records: readonly Appended[]): Promise<readonly number[]>
  close(): Promise<void>
}

/** What one call of `append` waits for. */
interface Call {
  readonly results: AppendResult[]
  open: number
  resolve(results: readonly AppendResult[]): void
}
interface Job {
  readonly record: Encoded
  readonly call: Call
  /** Which of the call's records it is. */
  readonly at: number
}
/** What waits for one partition, and how many records it has had of us. */
interface Queue extends Place {
  readonly name: string
  jobs: Job[]
  isBusy: boolean
  sequence: number
}
type Batches = Map<Queue, readonly Job[]>
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
  readonly #queues = new Map<string, Queue[]>()
  /** Those with something to send. */
  readonly #filled = new Set<Queue>()
  readonly #writer = new TailWriter()
  #identity: Promise<Identity> | undefined
  #isClosed = false

  constructor(wire: Wire) {
    this.#wire = wire
    this.#line = wire.line({ requestMs: silenceMs })
    this.#produce = produceApi(wire.driver)
  }

  append(records: readonly Encoded[]): Promise<readonly AppendResult[]> {
    if (records.length === 0) return Promise.resolve([])
    const { promise, resolve } = Promise.withResolvers<readonly AppendResult[]>()
    const call: Call = {
      results: new Array(records.length).fill(-1),
      open: records.length,
      resolve,
    }
    for (let at = 0; at < records.length; at += 1) {
      const record = records[at] as Encoded
      const queue = this.#queueOf(record)
      queue.jobs.push({ record, call, at })
      this.#filled.add(queue)
    }
    // Calls of one turn of the event loop share a request.
    queueMicrotask(() => void this.#pump())
    return promise
  }

  async appendAll(records: readonly Appended[]): Promise<readonly number[]> {
    const encoded = records.map((record) => {
      const { topic, partition } = record
      return { topic, partition, tail: encodeTail(this.#writer, record) }
    })
    const results = await this.append(encoded)
    return results.map((result) => {
      if (typeof result !== 'number') throw result
      return result
    })
  }

  #queueOf({ topic, partition }: Place): Queue {
    let queues = this.#queues.get(topic)
    if (queues === undefined) {
      queues = []
      this.#queues.set(topic, queues)
    }
    const known = queues[partition]
    if (known !== undefined) return known
    const name = laneName({ topic, partition })
    const queue: Queue = { topic, partition, name, jobs: [], isBusy: false, sequence: 0 }
    queues[partition] = queue
    return queue
  }

  async #pump(): Promise<void> {
    const waiting = [...this.#filled].filter(({ isBusy }) => !isBusy)
    if (waiting.length === 0) return
    const leaders = await this.#leadersOf(waiting).catch(() => new Map<Queue, undefined>())
    const byServer = new Map<Server | undefined, Queue[]>()
    for (const queue of waiting) {
      if (queue.isBusy || queue.jobs.length === 0) continue
      const server = leaders.get(queue)
      const list = byServer.get(server)
      if (list === undefined) byServer.set(server, [queue])
      else list.push(queue)
    }
    for (const queues of byServer.values()) void this.#send(queues)
  }

  async #leadersOf(queues: readonly Queue[]): Promise<ReadonlyMap<Queue, Server | undefined>> {
    const topics = await this.#wire.topics(topicsOf(queues))
    return new Map(
      queues.map((queue) => [queue, topics.get(queue.topic)?.leaders[queue.partition]]),
    )
  }

  /** One request after another while there is something for these partitions. */
  async #send(queues: readonly Queue[]): Promise<void> {
    for (const queue of queues) queue.isBusy = true
    const batches = this.#take(queues)
    try {
      await this.#deliver(batches)
    } finally {
      for (const queue of queues) queue.isBusy = false
      if (this.#filled.size > 0) void this.#pump()
    }
  }

  #take(queues: readonly Queue[]): Batches {
    const taken: Batches = new Map()
    let total = 0
    for (const queue of queues) {
      const { jobs } = queue
      let bytes = 0
      let count = 0
      while (count < jobs.length) {
        const size = sizeOf(jobs[count] as Job)
        const isFull = bytes + size > batchBytesMax || total + size > requestBytesMax
        if (isFull && (count > 0 || total > 0)) break
        bytes += size
        total += size
        count += 1
      }
      if (count > 0) taken.set(queue, jobs.slice(0, count))
      queue.jobs = count === jobs.length ? [] : jobs.slice(count)
      if (queue.jobs.length === 0) this.#filled.delete(queue)
    }
    return taken
  }

  /** Sends the batches until each is stored or refused. */
  async #deliver(batches: Batches): Promise<void> {
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
      isDoubtful ||= isPerhapsStored(failure)
      if (attempt === 0 && (await this.#isHopeless(batches, failure))) {
        this.#refuse(batches, failure, isDoubtful)
        return
      }
      const mayRepeat = isPassing(failure) || isLostIdentity(failure) || isMissing(failure)
      const bound = isMissing(failure) ? until - boundMs + 1500 : until
      if (this.#isClosed || !mayRepeat || clock.monotonic() >= bound) {
        this.#refuse(batches, failure, isDoubtful)
        return
      }
      await delay(clock, Math.min(500, 25 * 2 ** Math.min(attempt, 5)))
      if (isLostIdentity(failure)) this.#forgetIdentity()
      await this.#wire.topics(topicsOf(batches.keys()), true).catch(() => undefined)
    }
  }

  /** Topics that want more copies in sync than they have: no server that comes back helps. */
  async #isHopeless(batches: Batches, failure: unknown): Promise<boolean> {
    if (!brokerErrorIds(failure).has('NOT_ENOUGH_REPLICAS')) return false
    const wire = this.#wire
    const names = topicsOf(batches.keys())
    const minInSync = 'min.insync.replicas'
    try {
      const configs = await readConfigs(wire, names, [minInSync])
      const facts = await wire.topics(names, true)
      return names.every((name) => {
        const wanted = Number(configs.get(name)?.get(minInSync) ?? 1)
        return wanted > (facts.get(name)?.copies ?? wanted)
      })
    } catch {
      return false
    }
  }

  /** One request; what it settled leaves `batches`. The first failure of a part, if one did. */
  async #request(batches: Batches): Promise<unknown> {
    const { driver, target } = this.#wire
    const leaders = await this.#leadersOf([...batches.keys()])
    const identity = target.isIdempotent ? await this.#identify() : undefined
    const byServer = new Map<Server, Queue[]>()
    for (const queue of batches.keys()) {
      const server = leaders.get(queue)
      if (server === undefined) continue
      const list = byServer.get(server)
      if (list === undefined) byServer.set(server, [queue])
      else list.push(queue)
    }
    const failures = await Promise.all(
      [...byServer].map(([server, queues]) =>
        this.#requestFrom(server, { batches, queues, identity }).catch((error: unknown) => error),
      ),
    )
    const failure = failures.find((each) => each !== undefined)
    if (failure !== undefined && brokerErrorIds(failure).size === 0) throw failure
    return failure ?? (batches.size > 0 ? missingTopic(driver) : undefined)
  }

  async #requestFrom(
    server: Server,
    asked: {
      readonly batches: Batches
      readonly queues: readonly Queue[]
      readonly identity: Identity | undefined
    },
  ): Promise<unknown> {
    const { batches, queues, identity } = asked
    const { driver } = this.#wire
    const encoded = queues.map((queue) => this.#encode(queue, batches.get(queue) ?? [], identity))
    const answer = await withPartErrors(
      this.#line.call(server, this.#produce, ackAll, boundMs, encoded),
    )
    let failure: unknown
    for (const { name: topic, partitionResponses } of answer.responses) {
      for (const part of partitionResponses) {
        const queue = this.#queueOf({ topic, partition: part.index })
        const jobs = batches.get(queue)
        if (jobs === undefined) continue
        // A repeat that the broker recognised is there, wherever it is.
        const isStored = part.errorCode === 0 || part.errorCode === duplicateSequence
        if (isStored) {
          queue.sequence = (queue.sequence + jobs.length) % 2 ** 31
          batches.delete(queue)
          const base = Number(part.baseOffset)
          for (let at = 0; at < jobs.length; at += 1) {
            settle(jobs[at] as Job, base < 0 ? -1 : base + at)
          }
        } else if (isTooLarge(part.errorCode)) {
          batches.delete(queue)
          await this.#split(queue, jobs, part.errorMessage ?? '')
        } else failure ??= new driver.ProtocolError(part.errorCode)
      }
    }
    return failure
  }

  #encode(queue: Queue, jobs: readonly Job[], identity: Identity | undefined): PartitionBatch {
    const { driver, clock } = this.#wire
    const { topic, partition, sequence } = queue
    const source = identity === undefined ? noSource : { ...identity, sequence }
    const tails = jobs.map(({ record }) => record.tail)
    // Of bytes in its own kind of buffer the client takes the sum without copying them.
    const crc = (bytes: Buffer) => driver.crc32c(driver.Writer.create().append(bytes).dynamicBuffer)
    return { topic, partition, bytes: encodeBatch(tails, source, { now: clock.now(), crc }) }
  }

  /** A batch that is too large may hold messages that are not. */
  async #split(queue: Queue, jobs: readonly Job[], why: string): Promise<void> {
    const [job] = jobs
    if (jobs.length === 1 && job !== undefined) {
      settle(job, tooLarge(job.record, why))
      return
    }
    for (const each of jobs) await this.#deliver(new Map([[queue, [each]]]))
  }

  #refuse(batches: Batches, failure: unknown, isDoubtful: boolean): void {
    if (isDoubtful) this.#forgetIdentity()
    const known = this.#wire.known(failure)
    for (const job of [...batches.values()].flat()) {
      if (isMissing(failure)) settle(job, noChannel(job.record.topic))
      else if (isDoubtful && isUnconfirmed(known)) settle(job, unconfirmed(known))
      else settle(job, known)
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
    for (const queue of [...this.#queues.values()].flat()) queue.sequence = 0
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

function settle({ call, at }: Job, result: AppendResult): void {
  call.results[at] = result
  call.open -= 1
  if (call.open === 0) call.resolve(call.results)
}

const duplicateSequence = 46
const isUnconfirmed = ({ code }: TreatyError) =>
  code === 'BROKER_UNREACHABLE' || code === 'BROKER_DEGRADED'
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

function topicsOf(places: Iterable<Place>): string[] {
  const names = new Set<string>()
  for (const { topic } of places) names.add(topic)
  return [...names]
}

/** Bytes of a record in a batch, a little too high. */
function sizeOf({ record: { tail } }: Job): number {
  return tail.to - tail.from + 16
}

function tooLarge(record: Encoded, why: string): TreatyError {
  const bytes = record.tail.valueBytes
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
  const what =
    cause.code === 'BROKER_DEGRADED'
      ? 'too few brokers of Kafka have the message for it to be confirmed'
      : 'the connection to Kafka ended before the message was confirmed'
  return new TreatyError('PUBLISH_UNCONFIRMED', what, {
    hint: 'Publish again with the same id.',
    cause,
  })
}
