import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import { asBrokerError } from './failures.ts'
import { LostAnswer } from './link.ts'
import { publishScript } from './publish-script.ts'
import { fieldsOf, positionOf, refusalOf } from './records.ts'
import type { Argument } from './resp.ts'
import type { Session } from './session.ts'

/** One call of the script carries at most so many records, or bytes of bodies. */
const recordsMax = 250
const bytesMax = 1_048_576
/** From this priority on a message without an order to keep goes into lanes of its own. */
const urgentFrom = 2
const hashes = 2 ** 32

interface Waiting {
  readonly record: OutgoingRecord
  readonly resolve: (result: PublishResult) => void
}

export interface Publisher {
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** Sends what is published in one turn of the event loop together, one script for each channel. */
export function createPublisher(session: Session): Publisher {
  const queues = new Map<string, Waiting[]>()
  const underWay = new Set<Promise<void>>()
  let isScheduled = false
  let turn = Math.floor(session.random() * hashes)

  function send(address: string, batch: readonly Waiting[]): void {
    const sending = sendBatch(session, {
      address,
      batch,
      nextTurn: () => (turn = (turn + 1) % hashes),
    })
    underWay.add(sending)
    void sending.finally(() => underWay.delete(sending))
  }

  function flush(): void {
    isScheduled = false
    for (const [address, waiting] of queues) {
      queues.delete(address)
      for (const batch of batchesOf(waiting)) send(address, batch)
    }
  }

  return {
    async publish(records, signal) {
      signal?.throwIfAborted()
      return Promise.all(
        records.map((record) => {
          const error = refusalOf(record, session.messageBytesMax)
          if (error !== undefined) return { error }
          return new Promise<PublishResult>((resolve) => {
            const queue = queues.get(record.address)
            if (queue === undefined) queues.set(record.address, [{ record, resolve }])
            else queue.push({ record, resolve })
            if (isScheduled) return
            isScheduled = true
            setImmediate(flush)
          })
        }),
      )
    },
    async idle() {
      flush()
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

function batchesOf(waiting: readonly Waiting[]): Waiting[][] {
  const batches: Waiting[][] = []
  let batch: Waiting[] = []
  let bytes = 0
  for (const one of waiting) {
    bytes += one.record.body.byteLength
    if (batch.length === recordsMax || (batch.length > 0 && bytes > bytesMax)) {
      batches.push(batch)
      batch = []
      bytes = one.record.body.byteLength
    }
    batch.push(one)
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

interface Sending {
  readonly address: string
  readonly batch: readonly Waiting[]
  readonly nextTurn: () => number
}

async function sendBatch(session: Session, { address, batch, nextTurn }: Sending): Promise<void> {
  const { link, names, place } = session
  const args: Argument[] = [batch.length]
  for (const { record } of batch) pushRecord(args, record, nextTurn)
  try {
    await link.ready()
    const places = await link.run(publishScript, names.base(address), args)
    if (place.replicas !== undefined) await waitForReplicas(session, place.replicas)
    const each = String(places).split(' ')
    batch.forEach(({ record, resolve }, at) => {
      resolve(resultOf(record, each[at] ?? ''))
    })
  } catch (cause) {
    const error =
      cause instanceof LostAnswer ? unconfirmed(session, cause) : asBrokerError(cause, place.name)
    for (const { resolve } of batch) resolve({ error })
  }
}

/** See {@link publishScript}. */
function pushRecord(args: Argument[], record: OutgoingRecord, nextTurn: () => number): void {
  const { id, key, type, priority = 1, dedupWindowMs = 0, deliverAt } = record
  const fields = fieldsOf(record)
  const hash = key === undefined ? nextTurn() : hashOf(key)
  args.push(hash * 4 + (key === undefined ? 0 : 2) + (priority >= urgentFrom ? 1 : 0), type)
  if (fields.length === 4 && dedupWindowMs < 1 && deliverAt === undefined) {
    args.push('', fields[1] as Argument, fields[3] as Argument)
    return
  }
  const window = dedupWindowMs >= 1 ? Math.ceil(dedupWindowMs) : ''
  const due = deliverAt === undefined ? '' : Math.ceil(deliverAt)
  args.push(`${fields.length / 2}|${window}|${due}|${id}`, ...fields)
}

/** What the script takes the lane from. */
export function hashOf(key: string): number {
  return laneOf(key, hashes)
}

function resultOf({ id }: OutgoingRecord, text: string): PublishResult {
  // Nobody listens and nothing is kept, such as for the late reply to a requester that has gone.
  if (text === '') return { id, position: positionOf('0-0', 0) }
  const isDuplicate = text.startsWith('=')
  const dot = text.indexOf('.')
  const entry = text.slice(isDuplicate ? 1 : 0, dot < 0 ? text.length : dot)
  const lane = dot < 0 ? '0' : text.slice(dot + 1)
  const position = lane === 'due' ? `${entry}.due` : positionOf(entry, Number(lane))
  return isDuplicate ? { id, position, duplicate: true } : { id, position }
}

/** How long replicas may take; shorter than the silence after which a connection is given up. */
const replicasMs = 1000

/** @throws PUBLISH_UNCONFIRMED */
async function waitForReplicas({ link, place }: Session, wanted: number): Promise<void> {
  const found = Number(await link.call('WAIT', wanted, replicasMs))
  if (found >= wanted) return
  throw new TreatyError(
    'PUBLISH_UNCONFIRMED',
    `the Redis server ${place.name} took it, but ${found} of ${wanted} replicas had it within ${replicasMs} ms`,
    {
      hint: 'Look at the replicas, then publish again with the same id: consumers recognise the repeat by it.',
      details: { replicas: found, wanted },
    },
  )
}

function unconfirmed({ place }: Session, cause: unknown): TreatyError {
  return new TreatyError(
    'PUBLISH_UNCONFIRMED',
    `the connection to the Redis server ${place.name} ended before it confirmed`,
    { hint: 'Publish again with the same id: consumers recognise the repeat by it.', cause },
  )
}
