import type { DatabaseSync } from 'node:sqlite'
import { TreatyError } from '../core/errors.ts'

/**
 * The tables of one part of Treaty (the store, the broker). Forward only: version n is the n-th
 * entry, entries are never edited once released, only appended.
 */
export interface ComponentMigrations {
  /** For example `broker`; part of the message when versions do not fit. */
  readonly component: string
  /** SQL scripts or functions, each run once, inside one transaction with its record. */
  readonly migrations: readonly (string | ((db: DatabaseSync) => void))[]
}

/**
 * Version of the file as a whole (`PRAGMA user_version`): raised only when a change of one
 * component would mislead an older Treaty that does not know the component.
 */
export const fileVersion = 1
/** Marks a file as Treaty's for `file(1)` and for people: the bytes of `TRTY` (`PRAGMA application_id`). */
export const applicationId = 0x54525459

const versionTable = `
  CREATE TABLE IF NOT EXISTS treaty_migrations (
    component TEXT NOT NULL,
    version INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (component, version)
  ) WITHOUT ROWID, STRICT`

/** The version of each component in the file; none where there are no tables of ours. */
export function readVersions(db: DatabaseSync): ReadonlyMap<string, number> {
  const known = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'treaty_migrations'").get()
  if (known === undefined) return new Map()
  const rows = db
    .prepare('SELECT component, max(version) AS version FROM treaty_migrations GROUP BY component')
    .all()
  return new Map(rows.map((row) => [String(row.component), Number(row.version)]))
}

function tooNew(path: string, what: string, versions: { has: number; knows: number }): TreatyError {
  return new TreatyError(
    'STORE_TOO_NEW',
    `the store ${path} was written by a newer Treaty: its ${what} version is ${versions.has}, and this Treaty knows ${versions.knows}`,
    {
      hint: 'Install the newer Treaty, or name another store file.',
      details: { path, what, ...versions },
    },
  )
}

function refuseNewer(db: DatabaseSync, path: string, components: readonly ComponentMigrations[]) {
  const has = Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0)
  if (has > fileVersion) throw tooNew(path, 'file', { has, knows: fileVersion })
  const versions = readVersions(db)
  for (const { component, migrations } of components) {
    const version = versions.get(component) ?? 0
    if (version > migrations.length) {
      throw tooNew(path, component, { has: version, knows: migrations.length })
    }
  }
  return versions
}

function isBehind(versions: ReadonlyMap<string, number>, component: ComponentMigrations): boolean {
  return (versions.get(component.component) ?? 0) < component.migrations.length
}

/**
 * Brings every component to its newest version. Any number of processes may do so at the same
 * time: the version is read again under the write lock. A file that is up to date is only read.
 *
 * @throws STORE_TOO_NEW before anything was changed
 */
export function migrate(
  db: DatabaseSync,
  target: { path: string; components: readonly ComponentMigrations[]; now: () => number },
): void {
  const { path, components, now } = target
  const seen = refuseNewer(db, path, components)
  if (!components.some((component) => isBehind(seen, component))) return
  db.exec('BEGIN IMMEDIATE')
  try {
    const versions = refuseNewer(db, path, components)
    db.exec(versionTable)
    const record = db.prepare('INSERT INTO treaty_migrations VALUES (?, ?, ?)')
    for (const { component, migrations } of components) {
      const from = versions.get(component) ?? 0
      for (const [index, step] of migrations.entries()) {
        if (index < from) continue
        if (typeof step === 'string') db.exec(step)
        else step(db)
        record.run(component, index + 1, now())
      }
    }
    db.exec(`PRAGMA user_version = ${fileVersion}`)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
