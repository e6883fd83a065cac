import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import {
  type ComponentMigrations,
  type MigrationReport,
  mapSqliteError,
  openSqliteFile,
  type SqliteFile,
  withBusyRetry,
} from '../../store/index.ts'
import type {
  OutboxDatabase,
  OutboxOptions,
  OutboxResult,
  OutboxRow,
  OutboxShard,
  ParkedMessage,
} from './outbox.ts'
import { keyOf, recordOf } from './rows.ts'

/** The tables in the caller's own file, named after us. Version 1 is what the first release writes; append, never edit. */
const tables = `
  CREATE TABLE treaty_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    chain TEXT,
    message_id TEXT NOT NULL,
    event TEXT NOT NULL,
    address TEXT NOT NULL,
    envelope TEXT NOT NULL,
    body BLOB NOT NULL,
    written_at INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,
    parked_at INTEGER,
    error TEXT
  ) STRICT;
  CREATE INDEX treaty_outbox_waiting ON treaty_outbox (id) WHERE parked_at IS NULL;
  CREATE INDEX treaty_outbox_next ON treaty_outbox (next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX treaty_outbox_parked ON treaty_outbox (id) WHERE parked_at IS NOT NULL;
  CREATE TABLE treaty_outbox_relay (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
  ) STRICT`

export const sqliteOutboxMigrations: ComponentMigrations = {
  component: 'outbox',
  migrations: [tables],
}

/** Milliseconds after which another relay may take over from one that went silent. */
const leaseMs = 5000

/**
 * The outbox in an SQLite file. SQLite has one writer at a time, so commits have one order and one relay is enough: it holds a
 * lease, and what it deletes after its lease has moved is refused.
 *
 * @throws STORE_OUTDATED under `verify`, and the STORE_ codes of opening the file
 */
export function openSqliteOutbox(
  path: string,
  options: Pick<OutboxOptions, 'onParked'> & {
    readonly clock?: Clock
    readonly random?: Random
    readonly tables?: 'create' | 'verify'
  },
): OutboxDatabase {
  const { clock = systemClock, random = systemRandom } = options
  if (options.tables === 'verify') requireTables(path, clock)
  const file = openSqliteFile(path, { clock, migrations: [sqliteOutboxMigrations] })
  return new SqliteOutbox(file, { clock, random, blocks: options.onParked === 'block' })
}

/** Looking makes no file, and no table in one that is there. */
function requireTables(path: string, clock: Clock): void {
  const [plan] = migrateSqliteOutbox(path, { clock, dryRun: true })
  if (plan === undefined || plan.from >= plan.to) return
  throw new TreatyError(
    'STORE_OUTDATED',
    plan.from === 0
      ? `the file ${path} has no outbox`
      : `the outbox of the file ${path} has version ${plan.from}, and ${plan.to} is needed`,
    { hint: 'Name the file of your application, or run treaty store migrate --outbox URL.' },
  )
}

/** As `migrateOutbox`; with `dryRun` no file is made. */
export function migrateSqliteOutbox(
  path: string,
  { clock = systemClock, dryRun = false }: { readonly clock?: Clock; readonly dryRun?: boolean },
): readonly MigrationReport[] {
  const to = sqliteOutboxMigrations.migrations.length
  const report = (from: number) => [{ component: 'outbox', from, to }]
  if (dryRun && !existsSync(path)) return report(0)
  const file = openSqliteFile(path, { clock })
  let from: number
  try {
    const known = file.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'treaty_migrations'").get()
    const row =
      known &&
      file
        .prepare('SELECT max(version) AS version FROM treaty_migrations WHERE component = ?')
        .get('outbox')
    from = Number(row?.version ?? 0)
  } finally {
    file.close()
  }
  if (!dryRun) openSqliteFile(path, { clock, migrations: [sqliteOutboxMigrations] }).close()
  return report(from)
}

class SqliteOutbox implements OutboxDatabase {
  readonly #file: SqliteFile
  readonly #clock: Clock
  readonly #random: Random
  readonly #blocks: boolean
  readonly #holder = randomUUID()
  #wake: () => void = () => undefined
  #isHeld = false

  constructor(file: SqliteFile, given: { clock: Clock; random: Random; blocks: boolean }) {
    this.#file = file
    this.#clock = given.clock
    this.#random = given.random
    this.#blocks = given.blocks
    file.onChange(() => this.#wake())
  }

  get name(): string {
    return this.#file.path
  }
  onWake(listener: () => void): void {
    this.#wake = listener
  }

  get #now(): number {
    return Math.trunc(this.#clock.now())
  }
  async #read<T>(work: () => T): Promise<T> {
    try {
      return work()
    } catch (error) {
      throw mapSqliteError(error, this.#file.path)
    }
  }
  #write<T>(work: () => T): Promise<T> {
    return withBusyRetry(() => this.#file.transaction(work), {
      clock: this.#clock,
      random: this.#random,
    })
  }

  pending(): Promise<readonly number[]> {
    const sql = 'SELECT 1 FROM treaty_outbox WHERE parked_at IS NULL LIMIT 1'
    return this.#read(() => (this.#file.prepare(sql).get() === undefined ? [] : [0]))
  }

  async alone<T>(_shard: number, work: (shard: OutboxShard) => Promise<T>): Promise<T | undefined> {
    if (this.#isHeld) return undefined
    this.#isHeld = true
    try {
      if (!(await this.#write(() => this.#lease()))) return undefined
      const stopRenewing = this.#renewing()
      try {
        return await work({
          read: (limit) => this.#read(() => this.#rows(limit)),
          finish: (result) => this.#write(() => this.#finish(result)),
        })
      } finally {
        stopRenewing()
        const free = 'DELETE FROM treaty_outbox_relay WHERE holder = ?'
        await this.#write(() => this.#file.prepare(free).run(this.#holder)).catch(() => undefined)
      }
    } finally {
      this.#isHeld = false
    }
  }

  /** A broker may take longer than a lease. Whoever loses it all the same finds out when it deletes. */
  #renewing(): () => void {
    let timer: TimerHandle | undefined
    const arm = () => {
      timer = this.#clock.setTimeout(() => {
        void this.#write(() => this.#lease())
          .catch(() => undefined)
          .finally(() => timer !== undefined && arm())
      }, leaseMs / 3)
    }
    arm()
    return () => {
      this.#clock.clearTimeout(timer)
      timer = undefined
    }
  }

  /** True: the lease is ours, from now on for a while. */
  #lease(): boolean {
    const now = this.#now
    const { changes } = this.#file
      .prepare(
        `INSERT INTO treaty_outbox_relay VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE
         SET holder = ?1, until = ?2 WHERE holder = ?1 OR until <= ?3`,
      )
      .run(this.#holder, now + leaseMs, now)
    return Number(changes) === 1
  }

  #rows(limit: number): OutboxRow[] {
    const rows = this.#file
      .prepare(
        `WITH held AS MATERIALIZED (
           SELECT chain, min(id) AS first FROM (
             SELECT chain, id FROM treaty_outbox WHERE next_at > ?1 AND chain IS NOT NULL
             UNION ALL
             SELECT chain, id FROM treaty_outbox WHERE ?2 AND parked_at IS NOT NULL AND chain IS NOT NULL
           ) GROUP BY chain)
         SELECT id, line.chain, failures, message_id, event, address, envelope, body
         FROM treaty_outbox AS line LEFT JOIN held ON held.chain = line.chain
         WHERE parked_at IS NULL AND (held.first IS NULL OR id < held.first)
           AND (next_at IS NULL OR next_at <= ?1)
         ORDER BY id LIMIT ?3`,
      )
      .all(this.#now, this.#blocks ? 1 : 0, limit)
    return rows.map((row) => ({
      id: String(row.id),
      chain: row.chain as string | null,
      failures: Number(row.failures),
      record: recordOf({
        messageId: String(row.message_id),
        event: String(row.event),
        address: String(row.address),
        envelope: String(row.envelope),
        body: row.body as Uint8Array,
      }),
    }))
  }

  #finish({ sent, failed }: OutboxResult): void {
    if (!this.#lease()) {
      throw new TreatyError(
        'LEASES_LOST',
        `another relay has taken over the outbox of ${this.name}`,
      )
    }
    const now = this.#now
    const remove = this.#file.prepare('DELETE FROM treaty_outbox WHERE id = ?')
    for (const id of sent) remove.run(Number(id))
    const note = this.#file.prepare(
      `UPDATE treaty_outbox SET error = ?, failures = failures + ?, next_at = ?, parked_at = ? WHERE id = ?`,
    )
    for (const { id, error, counts, retryMs } of failed) {
      const [nextAt, parkedAt] =
        retryMs === undefined ? [null, now] : [now + Math.ceil(retryMs), null]
      note.run(error, counts ? 1 : 0, nextAt, parkedAt, Number(id))
    }
  }

  status() {
    return this.#read(() => {
      const row = this.#file
        .prepare(
          `SELECT count(*) FILTER (WHERE parked_at IS NULL) AS backlog,
             count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
             count(*) FILTER (WHERE parked_at IS NULL AND next_at IS NOT NULL) AS failing,
             min(written_at) FILTER (WHERE parked_at IS NULL) AS oldest,
             (SELECT count(*) FROM treaty_outbox_relay WHERE until > ?) AS relays
           FROM treaty_outbox`,
        )
        .get(this.#now)
      const oldest = row?.oldest ?? null
      return {
        database: this.name,
        backlog: Number(row?.backlog),
        oldestAgeMs: oldest === null ? null : Math.max(0, this.#now - Number(oldest)),
        failing: Number(row?.failing),
        parked: Number(row?.parked),
        relays: Number(row?.relays),
      }
    })
  }

  parked(page: { limit: number; cursor?: string }) {
    return this.#read(() => {
      const rows = this.#file
        .prepare(
          'SELECT * FROM treaty_outbox WHERE parked_at IS NOT NULL AND id > ? ORDER BY id LIMIT ?',
        )
        .all(Number(page.cursor ?? 0), page.limit + 1)
      const items = rows.slice(0, page.limit).map(
        (row): ParkedMessage => ({
          id: String(row.id),
          messageId: String(row.message_id),
          event: String(row.event),
          address: String(row.address),
          key: keyOf(String(row.envelope)),
          failures: Number(row.failures),
          writtenAt: Number(row.written_at),
          parkedAt: Number(row.parked_at),
          error: String(row.error ?? ''),
        }),
      )
      const last = items.at(-1)
      return rows.length > page.limit && last ? { items, next: last.id } : { items }
    })
  }

  async retry(id: string): Promise<boolean> {
    const isDone = await this.#change(
      'UPDATE treaty_outbox SET parked_at = NULL, next_at = NULL, failures = 0 WHERE id = ? AND parked_at IS NOT NULL',
      id,
    )
    if (isDone) this.#wake()
    return isDone
  }
  discard(id: string): Promise<boolean> {
    return this.#change('DELETE FROM treaty_outbox WHERE id = ? AND parked_at IS NOT NULL', id)
  }
  #change(sql: string, id: string): Promise<boolean> {
    return this.#write(() => Number(this.#file.prepare(sql).run(id).changes) === 1)
  }

  async close(): Promise<void> {
    this.#file.close()
  }
}
