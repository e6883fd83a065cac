import type { Options } from 'amqplib'

/**
 * A delayed message waits in a queue of those that wait equally long, so that the first is always due first, and goes on to a queue of a
 * shorter wait until nothing is left. The largest tier stays below the broker's `consumer_timeout`, by default half an hour.
 */
export const tiersMs = [100, 500, 2000, 10_000, 60_000, 300_000] as const

const toHeader = 'treaty-wait-to'
const keyHeader = 'treaty-wait-key'
const untilHeader = 'treaty-wait-until'
const sinceHeader = 'treaty-wait-since'

/** A rest that is not worth a queue: whoever holds the message waits. */
export const restMs = 100

/** Where a message goes once its time has come. */
export interface Destination {
  readonly exchange: string
  readonly routingKey: string
  readonly until: number
}

/** The longest wait that is not too long. */
export function tierFor(waitMs: number): number {
  return tiersMs.findLast((tier) => tier <= waitMs) ?? tiersMs[0]
}

export function waitHeaders(to: Destination, now: number): Record<string, string> {
  return {
    [toHeader]: to.exchange,
    [keyHeader]: to.routingKey,
    [untilHeader]: String(to.until),
    [sinceHeader]: String(now),
  }
}

/** When the message leaves the queue of `tierMs`, and where to; undefined: it is none of ours. */
export function waitOf(
  headers: Readonly<Record<string, unknown>>,
  tierMs: number,
): { readonly leavesAt: number; readonly to: Destination } | undefined {
  const exchange = headers[toHeader]
  const routingKey = headers[keyHeader]
  const until = Number(headers[untilHeader])
  const since = Number(headers[sinceHeader])
  if (typeof exchange !== 'string' || typeof routingKey !== 'string') return undefined
  if (!Number.isFinite(until) || !Number.isFinite(since)) return undefined
  const rest = until - (since + tierMs)
  // The last piece is waited for here.
  const leavesAt = rest < restMs ? until : since + tierMs
  return { leavesAt, to: { exchange, routingKey, until } }
}

/** The headers without those of waiting. */
export function withoutWait(
  headers: Readonly<Record<string, unknown>>,
): Options.Publish['headers'] {
  const names = [toHeader, keyHeader, untilHeader, sinceHeader]
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}
