import { type Clock, delay } from '../../core/clock.ts'
import type { ReceiverEvent, SenderEvent, Webhooks } from '../../webhooks/index.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

/** What became of webhooks in this run, by source and by endpoint. */
export interface WebhookTally {
  onReceiver(event: ReceiverEvent): void
  onSender(event: SenderEvent): void
  read(): { readonly sources: Tallies; readonly endpoints: Tallies }
  /** Milliseconds of the slowest delivery that came through; undefined where none did. */
  slowestMs(endpoint: string): number | undefined
}
type Tallies = ReadonlyMap<string, ReadonlyMap<string, number>>

export function createWebhookTally(): WebhookTally {
  const sources = new Map<string, Map<string, number>>()
  const endpoints = new Map<string, Map<string, number>>()
  const slowest = new Map<string, number>()
  const add = (all: Map<string, Map<string, number>>, name: string, what: string) => {
    const own = all.get(name) ?? new Map<string, number>()
    all.set(name, own)
    own.set(what, (own.get(what) ?? 0) + 1)
  }
  return {
    onReceiver: ({ source, outcome }) => add(sources, source, outcome),
    onSender(event) {
      if (event.kind === 'attempt') {
        const { endpointId, outcome, elapsedMs } = event
        add(endpoints, endpointId, outcome)
        if (outcome !== 'delivered') return
        slowest.set(endpointId, Math.max(elapsedMs, slowest.get(endpointId) ?? 0))
      } else if (event.kind === 'filter.failed') add(endpoints, event.endpointId, 'filter_failed')
    },
    read: () => ({ sources, endpoints }),
    slowestMs: (endpoint) => slowest.get(endpoint),
  }
}

/** One line of the table. */
export interface WebhookLine {
  readonly direction: 'in' | 'out'
  readonly name: string
  readonly state: string
  readonly outcomes: Readonly<Record<string, number>>
  readonly slowestMs?: number
}

/** The lines of all sources and endpoints, as they are now. */
export async function webhookLines(
  { receiver, sender }: Pick<Webhooks, 'receiver' | 'sender'>,
  tally: WebhookTally,
): Promise<WebhookLine[]> {
  const { sources, endpoints } = tally.read()
  const incoming = (receiver?.sourceNames ?? []).map((name): WebhookLine => {
    const outcomes = Object.fromEntries(sources.get(name) ?? [])
    return { direction: 'in', name, state: 'verified', outcomes }
  })
  const known = (await sender?.endpoints.list()) ?? []
  const outgoing = known.map(({ id, status, disabledReason }): WebhookLine => {
    const state = disabledReason === undefined ? status : `${status}: ${disabledReason}`
    const slowestMs = tally.slowestMs(id)
    return {
      direction: 'out',
      name: id,
      state,
      outcomes: Object.fromEntries(endpoints.get(id) ?? []),
      ...(slowestMs === undefined ? {} : { slowestMs }),
    }
  })
  return [...incoming, ...outgoing]
}

/** The lines as a table. */
export function webhookTable(lines: readonly WebhookLine[], style: Style): string {
  const rows = lines.map(({ direction, name, state, outcomes, slowestMs }) => {
    const counts = Object.entries(outcomes).map(
      ([what, count]) => `${count} ${what.replaceAll('_', ' ')}`,
    )
    const slowest = slowestMs === undefined ? [] : [`the slowest in ${slowestMs} ms`]
    const said = [...counts, ...slowest].join(' · ')
    return [
      direction === 'in' ? 'from' : 'to',
      name,
      direction === 'in' ? '' : state,
      said || 'nothing',
    ]
  })
  return renderTable(['webhooks', 'name', 'state', 'in this run'], rows, style)
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}

const lookEveryMs = 500

/** Resolves once nothing is delivered and nothing waits in memory; false when the signal came first. */
export async function untilIdle(
  current: () => Webhooks | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const stats = current()?.sender?.stats()
    if (stats === undefined || (stats.atWork === 0 && stats.waiting === 0)) return true
    await delay(clock, lookEveryMs, signal).catch(() => undefined)
  }
  return false
}

/** Says what comes again and again at most twice a minute, with how often it came. */
export function createSparing(clock: Clock, say: (subject: string, text: string) => void) {
  const againMs = 30_000
  const said = new Map<string, { at: number; unsaid: number }>()
  return (kind: string, subject: string, text: string): void => {
    const key = `${kind}\n${subject}`
    const known = said.get(key)
    const now = clock.monotonic()
    if (known && now - known.at < againMs) {
      known.unsaid += 1
      return
    }
    const more = known?.unsaid ? ` (and ${known.unsaid} more since it was last said)` : ''
    said.set(key, { at: now, unsaid: 0 })
    say(subject, text + more)
  }
}
