import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import { redactUrl } from '../core/secret.ts'
import { isPostgresUrl, type MigrationReport } from '../store/index.ts'
import type { Transport } from './transport.ts'

/** The transport that a bus uses when nothing else is said. */
export const transportUrlDefault = 'sqlite:./treaty.db'

export interface OpenTransportOptions {
  readonly clock?: Clock
  readonly leaseMs?: number
}

/**
 * A transport for a URL, not yet connected: `memory:` (private), `memory:NAME` (shared in this
 * process), `sqlite:FILE`, a plain path to a SQLite file, or the URL of a server: `postgres://`, `kafka://`, `nats://`, `amqp://`,
 * `redis://`, each with its form for TLS. Drivers are loaded when they are asked for.
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
  if (scheme !== undefined && ['redis', 'rediss', 'valkey', 'valkeys'].includes(scheme)) {
    const { createRedisTransport } = await import('./transports/redis/index.ts')
    return createRedisTransport({ ...options, url })
  }
  if (isPostgresUrl(url)) {
    const { createPostgresTransport } = await import('./transports/postgres/index.ts')
    return createPostgresTransport({ ...options, url })
  }
  if (scheme === 'nats' || scheme === 'tls' || scheme === 'nats+tls') {
    const { createNatsTransport } = await import('./transports/nats/index.ts')
    return createNatsTransport({ ...options, url })
  }
  if (scheme === 'amqp' || scheme === 'amqps') {
    const { createRabbitmqTransport } = await import('./transports/rabbitmq/index.ts')
    return createRabbitmqTransport({ ...options, url })
  }
  if (scheme === 'kafka' || scheme === 'kafka+ssl') {
    const { createKafkaTransport } = await import('./transports/kafka/index.ts')
    return createKafkaTransport({ ...options, url })
  }
  throw new TreatyError('TRANSPORT_UNKNOWN', `no transport is known for "${redactUrl(url)}"`, {
    hint: 'Use memory:, memory:NAME, sqlite:FILE, postgres://…, kafka://…, nats://…, amqp://… or redis://….',
    details: { scheme },
  })
}

/**
 * Brings the tables of a broker that has some of its own to the newest version, or says what would be done (`dryRun`). Nothing for
 * brokers that bring theirs along when they are connected.
 *
 * @throws STORE_TOO_NEW, and the STORE_ codes of reaching the server
 */
export async function migrateTransport(
  url: string,
  options: OpenTransportOptions & { readonly dryRun?: boolean } = {},
): Promise<readonly MigrationReport[]> {
  if (!isPostgresUrl(url)) return []
  const { migratePostgresTransport } = await import('./transports/postgres/index.ts')
  return migratePostgresTransport(url, options)
}

/** Where the store of a bus lives when nothing else is said: in the broker's own database where it has one, else in memory. */
export function storeUrlFor(transport: Transport | string): string {
  if (typeof transport !== 'string') return 'memory:'
  if (/^(sqlite:|memory:)/i.test(transport) || isPostgresUrl(transport)) return transport
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(transport) ? 'sqlite:./treaty.db' : `sqlite:${transport}`
}
