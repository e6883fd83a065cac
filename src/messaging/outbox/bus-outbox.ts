import type { Contract } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import type { TreatyError as KnownError } from '../../core/errors.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { isPostgresUrl } from '../../store/index.ts'
import type { OutgoingRecord, Transport } from '../transport.ts'
import { isSamePath, type OutboxPlace, openOutbox, outboxPlace } from './open-outbox.ts'
import type {
  Outbox,
  OutboxDatabase,
  OutboxDesk,
  OutboxOptions,
  OutboxPublishOptions,
  PostgresHandle,
  Queued,
  SqliteHandle,
  SyncOutbox,
} from './outbox.ts'
import { writePostgres } from './postgres-writer.ts'
import { type Relay, startRelay } from './relay.ts'
import { columnsOf } from './rows.ts'
import { writeSqlite } from './sqlite-writer.ts'

/** A valid record, and the contract that it is of. */
export interface MadeRecord {
  readonly record: OutgoingRecord
  readonly contract: Contract
}

export interface BusOutboxOptions {
  /** `outbox` of `openBus`; undefined: only a broker's own database can be written to. */
  readonly options: OutboxOptions | undefined
  /** What the transport was opened with; undefined where it was handed over open. */
  readonly transportUrl: string | undefined
  readonly transport: Transport
  readonly tables: 'create' | 'verify'
  readonly clock: Clock
  readonly random: Random
  readonly onError: (error: KnownError) => void
}

/** The outbox of one bus: writes for `bus.outbox(tx)`, and the relay of this process. */
export interface BusOutbox {
  writer(
    tx: unknown,
    make: (event: string, data: unknown, options: OutboxPublishOptions) => MadeRecord,
  ): Outbox | SyncOutbox
  /** Undefined where the bus was opened without an outbox, or its insert is the publish. */
  readonly desk: OutboxDesk | undefined
  /** Ends the relay: what is under way is finished. */
  stop(): Promise<void>
}

interface Message extends OutboxPublishOptions {
  readonly event: string
  readonly data: unknown
}

/** @throws OPTION_INVALID, STORE_OUTDATED, and the STORE_ codes of opening the database */
export async function openBusOutbox(given: BusOutboxOptions): Promise<BusOutbox> {
  const { options, transport, clock, random, onError } = given
  const place = placeOf(given)
  const isOwn = place?.kind === 'sqlite' && isBrokersOwn(place.path, given.transportUrl)
  let database: OutboxDatabase | undefined
  let relay: Relay | undefined
  if (options !== undefined && place !== undefined && !isOwn) {
    checkOptions(options)
    const url = place.kind === 'postgres' ? place.url : `sqlite:${place.path}`
    database = await openOutbox(url, { ...options, clock, random, tables: given.tables })
    if (options.relay !== false) {
      relay = startRelay({ ...options, database, transport, clock, random, onError })
    }
  }
  return {
    desk: database,
    writer: (tx, make) =>
      writerOf(tx, make, { transport, clock, place: isOwn ? undefined : place }),
    async stop() {
      await relay?.stop()
      await database?.close()
    },
  }
}

function placeOf({ options, transportUrl }: BusOutboxOptions): OutboxPlace | undefined {
  if (options === undefined) return undefined
  if (options.url !== undefined) return outboxPlace(options.url)
  if (transportUrl !== undefined && isDatabase(transportUrl)) return outboxPlace(transportUrl)
  throw new TreatyError('OPTION_INVALID', 'the option outbox names no database', {
    hint: 'Give outbox.url, the database of your own transactions: postgres://… or sqlite:FILE.',
    details: { option: 'outbox.url' },
  })
}

function isDatabase(url: string): boolean {
  return isPostgresUrl(url) || /^(sqlite:|file:)/i.test(url) || !/^[a-z][a-z0-9+.-]+:/i.test(url)
}

/** In the broker's own file the insert is the publish. */
function isBrokersOwn(path: string, transportUrl: string | undefined): boolean {
  if (transportUrl === undefined || isPostgresUrl(transportUrl) || !isDatabase(transportUrl)) {
    return false
  }
  const broker = outboxPlace(transportUrl)
  return broker.kind === 'sqlite' && isSamePath(broker.path, path)
}

const bounds = { failuresMax: [1, 1_000_000], pollMs: [1, 3_600_000], batch: [1, 10_000] } as const

function checkOptions(options: OutboxOptions): void {
  for (const [name, [min, max]] of Object.entries(bounds)) {
    const value = options[name as keyof typeof bounds]
    if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) continue
    throw new TreatyError(
      'OPTION_INVALID',
      `the option outbox.${name} is ${value}, expected a whole number from ${min} to ${max}`,
      {
        hint: `Give outbox.${name} as a whole number from ${min} to ${max}.`,
        details: { option: `outbox.${name}` },
      },
    )
  }
}

interface WriterPlace {
  readonly transport: Transport
  readonly clock: Clock
  /** Undefined: only the broker's own database. */
  readonly place: OutboxPlace | undefined
}

function writerOf(
  tx: unknown,
  make: (event: string, data: unknown, options: OutboxPublishOptions) => MadeRecord,
  at: WriterPlace,
): Outbox | SyncOutbox {
  const madeOf = (messages: readonly Message[]) =>
    messages.map(({ event, data, ...options }) => make(event, data, options))
  if (isSqlite(tx)) {
    const add = (messages: readonly Message[]) => addToSqlite(tx, madeOf(messages), at)
    return {
      publish: (event, data, options = {}) => add([{ ...options, event, data }])[0] as Queued,
      publishMany: (messages) => add(messages as readonly Message[]),
    } satisfies SyncOutbox
  }
  if (isPostgres(tx)) {
    const add = async (messages: readonly Message[]) => addToPostgres(tx, madeOf(messages), at)
    return {
      publish: async (event, data, options = {}) =>
        (await add([{ ...options, event, data }]))[0] as Queued,
      publishMany: (messages) => add(messages as readonly Message[]),
    } satisfies Outbox
  }
  throw new TreatyError('OPTION_INVALID', 'the outbox was given no handle of a transaction', {
    hint: 'Give it a client of pg, the DatabaseSync of node:sqlite, or the tx of context.commit.',
    details: { option: 'tx' },
  })
}

function addToSqlite(
  tx: SqliteHandle,
  made: readonly MadeRecord[],
  { transport, clock, place }: WriterPlace,
): readonly Queued[] {
  const records = made.map(({ record }) => record)
  const published = transport.publishWithin?.(tx, records)
  if (published !== undefined) return published.map(({ id }) => ({ id }))
  const path = tx.location?.() ?? null
  if (place?.kind !== 'sqlite' || path === null || !isSamePath(path, place.path)) {
    throw notConfigured(path === null ? 'a database in memory' : `the file ${path}`)
  }
  const rows = made.map(({ record, contract }) => columnsOf(contract, record))
  writeSqlite(tx, rows, clock.now())
  return records.map(({ id }) => ({ id }))
}

async function addToPostgres(
  tx: PostgresHandle,
  made: readonly MadeRecord[],
  { place }: WriterPlace,
): Promise<readonly Queued[]> {
  if (place?.kind !== 'postgres') throw notConfigured('PostgreSQL')
  const rows = made.map(({ record, contract }) => columnsOf(contract, record))
  await writePostgres(tx, place.schema, rows)
  return made.map(({ record }) => ({ id: record.id }))
}

function notConfigured(what: string): TreatyError {
  return new TreatyError('OUTBOX_NOT_CONFIGURED', `this bus has no outbox in ${what}`, {
    hint: 'Open the bus with outbox: { url }, the URL of the database that the transaction is on.',
  })
}

function isSqlite(tx: unknown): tx is SqliteHandle {
  return typeof tx === 'object' && tx !== null && 'prepare' in tx && 'exec' in tx
}

function isPostgres(tx: unknown): tx is PostgresHandle {
  return typeof tx === 'object' && tx !== null && typeof (tx as PostgresHandle).query === 'function'
}
