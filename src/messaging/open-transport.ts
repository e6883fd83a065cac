import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import { redactUrl } from '../core/secret.ts'
import type { Transport } from './transport.ts'

/** The transport that a bus uses when nothing else is said. */
export const transportUrlDefault = 'sqlite:./treaty.db'

export interface OpenTransportOptions {
  readonly clock?: Clock
  readonly leaseMs?: number
}

/**
 * A transport for a URL, not yet connected: `memory:` (private), `memory:NAME` (shared in this
 * process), `sqlite:FILE`, or a plain path to a SQLite file. Drivers are loaded when they are asked for.
 *
 * @throws TRANSPORT_UNKNOWN for another scheme
 */
export async function openTransport(
  url: string,
  options: OpenTransportOptions = {},
): Promise<Transport> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase()
  const rest = scheme === undefined ? url : url.slice(scheme.length + 1)
  if (scheme === 'memory') {
    const { createMemoryTransport } = await import('./transports/memory.ts')
    return createMemoryTransport({ ...options, ...(rest === '' ? {} : { name: rest }) })
  }
  if (scheme === undefined || scheme === 'sqlite') {
    const { createSqliteTransport } = await import('./transports/sqlite/index.ts')
    return createSqliteTransport({ ...options, path: rest.replace(/^\/\/(?=\/)/, '') })
  }
  throw new TreatyError('TRANSPORT_UNKNOWN', `no transport is known for "${redactUrl(url)}"`, {
    hint: 'Use memory:, memory:NAME or sqlite:FILE.',
    details: { scheme },
  })
}

/** Where the store of a bus lives when nothing else is said: beside the embedded broker, else in memory. */
export function storeUrlFor(transport: Transport | string): string {
  if (typeof transport !== 'string') return 'memory:'
  if (/^(sqlite:|memory:)/i.test(transport)) return transport
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(transport) ? 'sqlite:./treaty.db' : `sqlite:${transport}`
}
