import { TreatyError } from '../../../core/errors.ts'
import { toBrokerHeaders } from '../../lanes/broker-headers.ts'
import { laneOf } from '../../lanes/share.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import type { PubAck } from './acks.ts'
import { unreachable } from './acks.ts'
import type { ChannelDocument } from './definitions.ts'
import { asTreatyError, channelMissing, JetStreamError } from './errors.ts'
import { messageSubject, scheduleSubject } from './names.ts'
import { readNext } from './reads.ts'
import { positionOf } from './records.ts'
import type { Session } from './session.ts'
import { duplicateWindowMs } from './streams.ts'
import { blockOf, headerLines } from './wire-headers.ts'

export interface Publisher {
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** Messages of one atomic batch; the server takes 1000. */
const batchMax = 500
/** Bytes of one atomic batch: the server holds it in memory until its end. */
const batchBytesMax = 4_194_304
/** Batches of one channel that are under way at a time. */
const batchesMax = 4
/** Messages of a channel that are under way one by one. */
const singlesMax = 1000
/** How long a publish waits for a connection that is down. */
const patienceMs = 5000
/** The frame of a header block, what the server puts before the message on its way to a subscriber, and the orders that we add. */
const ordersBytes = 268

/** One record on its way. */
interface Item {
  readonly record: OutgoingRecord
  readonly subject: string
  /** Its headers as the lines of a block. */
  readonly lines: string
  readonly bytes: number
  /** It goes alone: the server looks for its id, or keeps it until its time. */
  readonly orders: Readonly<Record<string, string>> | undefined
  /** The call that it belongs to, and its place there. */
  readonly call: PublishCall
  readonly at: number
}

/** The records of one call: a promise for all of them, not one for each. */
class PublishCall {
  readonly results: Promise<PublishResult[]>
  readonly #results: PublishResult[]
  readonly #resolve: (results: PublishResult[]) => void
  #left: number

  constructor(count: number) {
    const { promise, resolve } = Promise.withResolvers<PublishResult[]>()
    this.results = promise
    this.#resolve = resolve
    this.#results = new Array<PublishResult>(count)
    this.#left = count
    if (count === 0) resolve(this.#results)
  }

  /** Each place once. */
  told(at: number, result: PublishResult): void {
    this.#results[at] = result
    this.#left -= 1
    if (this.#left === 0) this.#resolve(this.#results)
  }
}

/** What is on its way to one channel. */
interface Line {
  readonly queue: Item[]
  underWay: number
  singles: number
}

/** Sends records in the order of the calls, those of many calls together. */
export function createPublisher(session: Session): Publisher {
  const lines = new Map<string, Line>()
  const idlers: (() => void)[] = []
  let open = 0

  function ended(): void {
    open -= 1
    if (open > 0) return
    for (const resolve of idlers.splice(0)) resolve()
  }

  function lineOf(stream: string): Line {
    const line = lines.get(stream) ?? { queue: [], underWay: 0, singles: 0 }
    lines.set(stream, line)
    return line
  }

  function pump(line: Line): void {
    for (;;) {
      const item = line.queue[0]
      if (item === undefined) return
      if (item.orders !== undefined || !session.features.batches) {
        // Alone, and in order: what is behind a batch waits for it.
        if (line.singles >= singlesMax || line.underWay > 0) return
        line.queue.shift()
        line.singles += 1
        void single(session, item).finally(() => {
          line.singles -= 1
          pump(line)
        })
        continue
      }
      if (line.underWay >= batchesMax || line.singles > 0) return
      line.underWay += 1
      void together(session, takeBatch(line.queue)).finally(() => {
        line.underWay -= 1
        pump(line)
      })
    }
  }

  return {
    async publish(records, signal) {
      signal?.throwIfAborted()
      open += 1
      try {
        if (!(await session.wire.untilUp(patienceMs))) throw unreachable()
        return await enqueue(session, records, lineOf, pump)
      } finally {
        ended()
      }
    },
    async idle() {
      if (open === 0) return
      await new Promise<void>((resolve) => void idlers.push(resolve))
    },
  }
}

/** Into the lines of their channels, in order; resolves with a result for each. */
async function enqueue(
  session: Session,
  records: readonly OutgoingRecord[],
  lineOf: (stream: string) => Line,
  pump: (line: Line) => void,
): Promise<PublishResult[]> {
  const channels = new Map<string, ChannelDocument | undefined>()
  for (const { address } of records) {
    if (!channels.has(address)) channels.set(address, await session.definitions.channel(address))
  }
  const touched = new Set<Line>()
  const call = new PublishCall(records.length)
  for (const [at, record] of records.entries()) {
    const channel = channels.get(record.address)
    if (channel === undefined) {
      call.told(at, { error: channelMissing(record.address) })
      continue
    }
    const made = itemOf(session, channel, { record, call, at })
    if ('error' in made) {
      call.told(at, made)
      continue
    }
    const line = lineOf(channel.stream)
    touched.add(line)
    line.queue.push(made)
  }
  for (const line of touched) pump(line)
  return call.results
}

function takeBatch(queue: Item[]): Item[] {
  let bytes = 0
  let count = 0
  for (const item of queue) {
    if (item.orders !== undefined || count >= batchMax) break
    if (count > 0 && bytes + item.bytes > batchBytesMax) break
    bytes += item.bytes
    count += 1
  }
  return queue.splice(0, count)
}

function itemOf(
  session: Session,
  channel: ChannelDocument,
  asked: Pick<Item, 'record' | 'call' | 'at'>,
): Item | { readonly error: TreatyError } {
  const { record } = asked
  const bytes = record.body.byteLength
  if (bytes > session.messageBytesMax) return { error: tooLarge(record, bytes, session) }
  const lane = laneNameOf(record, channel)
  const { type } = record
  const target = messageSubject(channel.address, { lane, type })
  const lines = headerLines(toBrokerHeaders(record, 'ce-'))
  const size = lines.length + bytes + ordersBytes
  if (size > session.wire.payloadMax) return { error: tooLarge(record, size, session) }
  const isLater = record.deliverAt !== undefined && record.deliverAt > session.clock.now()
  const schedules = isLater && session.features.schedules
  const { call, at } = asked
  if (!schedules && record.dedupWindowMs === undefined) {
    return { record, call, at, lines, bytes: size, subject: target, orders: undefined }
  }
  const nonce = crypto.randomUUID()
  const subject = schedules ? scheduleSubject(channel.address, { lane, type, nonce }) : target
  const orders = {
    ...(record.dedupWindowMs === undefined ? {} : { 'Nats-Msg-Id': record.id }),
    ...(schedules
      ? {
          'Nats-Schedule': `@at ${new Date(record.deliverAt ?? 0).toISOString()}`,
          'Nats-Schedule-Target': target,
        }
      : {}),
  }
  return { record, call, at, lines, bytes: size, subject, orders }
}

/** The lane of its key; without one any lane will do, and ids spread evenly. */
export function laneNameOf(
  { key, id }: Pick<OutgoingRecord, 'key' | 'id'>,
  { partitions }: ChannelDocument,
): string {
  return String(laneOf(key ?? id, partitions))
}

function tooLarge(record: OutgoingRecord, bytes: number, session: Session): TreatyError {
  const max = session.messageBytesMax
  return new TreatyError(
    'MESSAGE_TOO_LARGE',
    `the message '${record.id}' has ${bytes} bytes, and ${max} are allowed beside its headers`,
    {
      hint: 'Send a reference to the content instead of the content, or raise max_payload of nats-server.',
      details: { id: record.id, address: record.address, max },
    },
  )
}

async function single(session: Session, item: Item): Promise<void> {
  const { record, subject, lines, orders } = item
  try {
    const publish = (more: Readonly<Record<string, string>> = {}) =>
      session.acks.publish(subject, record.body, blockOf(lines, { ...orders, ...more }))
    let ack = await publish()
    // The stream knows ids for one time, whatever the record asks: what is older than that is no duplicate.
    while (ack.duplicate === true && !(await isWithin(session, record, ack.seq))) {
      ack = await publish({ 'Nats-Msg-Id': `${record.id}#${ack.seq}` })
    }
    item.call.told(item.at, taken(record, ack))
  } catch (error) {
    refuse(session, item, error)
  }
}

function taken({ id }: OutgoingRecord, ack: PubAck): PublishResult {
  const position = positionOf(ack.seq)
  return ack.duplicate === true ? { id, position, duplicate: true } : { id, position }
}

function refuse(session: Session, { record, call, at }: Item, error: unknown): void {
  if (error instanceof TreatyError && error.code === 'CHANNEL_NOT_FOUND') {
    session.definitions.forget(record.address)
  }
  call.told(at, { error: asTreatyError(error, 'took no message') })
}

/** Was the message of that number taken less than the record's window ago? By what followed it, where it is gone itself. */
async function isWithin(session: Session, record: OutgoingRecord, seq: number): Promise<boolean> {
  const windowMs = record.dedupWindowMs ?? duplicateWindowMs
  if (windowMs >= duplicateWindowMs) return true
  const channel = await session.definitions.channel(record.address)
  if (channel === undefined) return true
  const found = await readNext(session.wire, channel.stream, { filter: '>', from: seq })
  // Everything up to it is gone, and nothing came since: what is known is that all of it was handled.
  if (found === undefined)
    return session.clock.now() - (await lastTakenAt(session, channel)) < windowMs
  return session.clock.now() - Number(found.timeNs / 1_000_000n) < windowMs
}

async function lastTakenAt({ wire }: Session, { stream }: ChannelDocument): Promise<number> {
  const info = await wire.api<{ state: { last_ts: string } }>(`STREAM.INFO.${stream}`)
  return Date.parse(info.state.last_ts)
}

/** All or none; where it is none, each alone, so that one does not stop the others. */
async function together(session: Session, items: readonly Item[]): Promise<void> {
  const [only, second] = items
  if (only !== undefined && second === undefined) return single(session, only)
  const batch = crypto.randomUUID()
  try {
    const acks = items.map(({ subject, record, lines }, at) => {
      const isLast = at === items.length - 1
      const orders = {
        'Nats-Batch-Id': batch,
        'Nats-Batch-Sequence': String(at + 1),
        ...(isLast ? { 'Nats-Batch-Commit': '1' } : {}),
      }
      const block = blockOf(lines, orders)
      if (isLast) return session.acks.publish(subject, record.body, block)
      session.wire.publish(subject, record.body, { headers: block })
      return undefined
    })
    const ack = await acks.at(-1)
    const last = ack?.seq ?? 0
    for (const [nth, { record, call, at }] of items.entries()) {
      call.told(at, taken(record, { seq: last - items.length + 1 + nth }))
    }
  } catch (error) {
    if (error instanceof JetStreamError) for (const item of items) await single(session, item)
    else for (const item of items) refuse(session, item, error)
  }
}
