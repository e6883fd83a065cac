import { JetStreamError } from './errors.ts'
import { pull } from './pull.ts'
import type { Stored } from './stored.ts'
import type { Wire, WireMessage } from './wire.ts'

const emptyAfterMs = 5000
/** Since then one request reads several messages, and says how many there are. */
const batchVersion = [2, 11] as const
const manyMax = 1000

export function atLeast(wire: Wire, version: readonly [number, number]): boolean {
  const [major, minor] = wire.version
  return major > version[0] || (major === version[0] && minor >= version[1])
}

/** The newest message of a subject. */
export function readLast(wire: Wire, stream: string, subject: string): Promise<Stored | undefined> {
  return readOne(wire, stream, { last_by_subj: subject })
}

/** The first message from `seq` on whose subject fits. */
export function readNext(
  wire: Wire,
  stream: string,
  at: { readonly filter: string; readonly from: number },
): Promise<Stored | undefined> {
  return readOne(wire, stream, { seq: Math.max(1, at.from), next_by_subj: at.filter })
}

async function readOne(
  wire: Wire,
  stream: string,
  request: Readonly<Record<string, unknown>>,
): Promise<Stored | undefined> {
  const answer = await wire.request(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(request))
  if (answer.code === 404) return undefined
  if (answer.code >= 300)
    throw new JetStreamError({ code: answer.code, description: answer.status }, `reading ${stream}`)
  return storedOf(answer)
}

/** How many messages there are from `from` on, and when the first of them was taken. */
export interface Pending {
  readonly count: number
  /** Epoch milliseconds. */
  readonly oldestAt?: number
}

export async function countFrom(
  wire: Wire,
  stream: string,
  at: { readonly filter: string; readonly from: number },
): Promise<Pending> {
  const first = Math.max(1, at.from)
  if (!atLeast(wire, batchVersion)) return countByConsumer(wire, stream, { ...at, from: first })
  const [found] = await readMany(wire, stream, { seq: first, next_by_subj: at.filter, batch: 1 })
  if (found === undefined) return { count: 0 }
  const behind = Number(found.header('Nats-Num-Pending') ?? 0)
  // The message itself is not in the number of those behind it.
  return { count: behind + 1, oldestAt: Number(storedOf(found).timeNs / 1_000_000n) }
}

async function countByConsumer(
  wire: Wire,
  stream: string,
  at: { readonly filter: string; readonly from: number },
): Promise<Pending> {
  const name = `count${crypto.randomUUID().slice(0, 8)}`
  const info = await wire.api<{ num_pending: number }>(
    `CONSUMER.CREATE.${stream}.${name}.${at.filter}`,
    {
      stream_name: stream,
      config: {
        name,
        deliver_policy: 'by_start_sequence',
        opt_start_seq: at.from,
        ack_policy: 'none',
        filter_subject: at.filter,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: emptyAfterMs * 1_000_000,
      },
    },
  )
  await wire.api(`CONSUMER.DELETE.${stream}.${name}`).catch(() => undefined)
  if (info.num_pending === 0) return { count: 0 }
  const first = await readNext(wire, stream, at)
  return {
    count: info.num_pending,
    ...(first === undefined ? {} : { oldestAt: Number(first.timeNs / 1_000_000n) }),
  }
}

/** The newest message of each subject that fits, in no order. */
export async function readAll(wire: Wire, stream: string, filter: string): Promise<Stored[]> {
  if (atLeast(wire, batchVersion)) {
    try {
      return (await readMany(wire, stream, { multi_last: [filter], batch: manyMax })).map(storedOf)
    } catch (error) {
      // More subjects than one answer may hold: 413.
      if (!(error instanceof JetStreamError)) throw error
    }
  }
  const found: Stored[] = []
  await scan(wire, stream, { filter, lastPerSubject: true, take: (each) => void found.push(each) })
  return found
}

/** Several messages by one request; an empty list where there is none. */
async function readMany(
  wire: Wire,
  stream: string,
  request: Readonly<Record<string, unknown>>,
): Promise<WireMessage[]> {
  const inbox = wire.inbox()
  const messages: WireMessage[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const unsubscribe = wire.subscribe(inbox, (message) => {
    if (message.code === 204 || message.code === 404) resolve()
    else if (message.code >= 300) {
      reject(
        new JetStreamError(
          { code: message.code, description: message.status },
          `reading ${stream}`,
        ),
      )
    } else messages.push(message)
  })
  const timer = wire.clock.setTimeout(
    () =>
      reject(
        new JetStreamError({ code: 408, description: 'no answer in time' }, `reading ${stream}`),
      ),
    emptyAfterMs,
  )
  try {
    wire.publish(`$JS.API.DIRECT.GET.${stream}`, Buffer.from(JSON.stringify(request)), {
      reply: inbox,
    })
    await promise
    return messages
  } finally {
    wire.clock.clearTimeout(timer)
    unsubscribe()
  }
}

export interface ScanOptions {
  readonly filter: string
  /** First sequence number. Default: all. */
  readonly from?: number
  /** Bodies are left out. */
  readonly headersOnly?: boolean
  readonly lastPerSubject?: boolean
  /** False ends the scan. */
  readonly take: (message: Stored) => boolean | void
  /** Messages asked for at a time. Default 500. */
  readonly batch?: number
}

/** Reads what a stream holds now, oldest first. */
export async function scan(wire: Wire, stream: string, options: ScanOptions): Promise<void> {
  const { filter, from, headersOnly, lastPerSubject, take, batch = 500 } = options
  const name = `scan${crypto.randomUUID().slice(0, 8)}`
  const start =
    lastPerSubject === true
      ? { deliver_policy: 'last_per_subject' }
      : { deliver_policy: 'by_start_sequence', opt_start_seq: Math.max(1, from ?? 1) }
  const info = await wire.api<{ num_pending: number }>(
    `CONSUMER.CREATE.${stream}.${name}.${filter}`,
    {
      stream_name: stream,
      config: {
        name,
        ...start,
        ack_policy: 'none',
        filter_subject: filter,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: emptyAfterMs * 1_000_000,
        ...(headersOnly === true ? { headers_only: true } : {}),
      },
    },
  )
  let left = info.num_pending
  try {
    while (left > 0) {
      const messages = await pull(wire, {
        stream,
        consumer: name,
        batch: Math.min(left, batch),
        waitMs: emptyAfterMs,
      })
      if (messages.length === 0) return
      left -= messages.length
      for (const message of messages) if (take(message) === false) return
    }
  } finally {
    await wire.api(`CONSUMER.DELETE.${stream}.${name}`).catch(() => undefined)
  }
}

/** A message of a direct read; its own headers and those that say where it was. */
function storedOf(message: WireMessage): Stored {
  return {
    subject: message.header('Nats-Subject') ?? '',
    seq: Number(message.header('Nats-Sequence')),
    timeNs: nanoseconds(message.header('Nats-Time-Stamp') ?? ''),
    data: message.data,
    headers: () => message.headers(),
  }
}

/** RFC 3339 with up to nine digits behind the second. */
export function nanoseconds(timestamp: string): bigint {
  const [, second = '', fraction = '', zone = 'Z'] =
    /^(.*?:\d\d)(?:\.(\d+))?(Z|[+-].*)$/.exec(timestamp) ?? []
  const ms = Date.parse(`${second}${zone}`)
  return Number.isNaN(ms)
    ? 0n
    : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}
