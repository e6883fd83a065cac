import { TreatyError } from '../core/errors.ts'
import type { MigrationReport } from './migration-report.ts'
import type { PostgresAccess, Query, Row } from './postgres-access.ts'

/**
 * The tables of one part of Treaty on PostgreSQL. Forward only: version n is the n-th entry, entries
 * are never edited once released, only appended.
 */
export interface PostgresMigrations {
  /** For example `store`; part of the message when versions do not fit. */
  readonly component: string
  /** SQL scripts for the schema, whose name comes quoted; each run once, in one transaction with its record. */
  readonly migrations: readonly ((schema: string) => string)[]
}

/** The oldest server that has all that our statements use (`server_version_num`). */
const serverVersionMin = 130_000

/**
 * Facts about the server, and whether our schema and table of versions are there. Read from the catalogue: `to_regclass`
 * answers from a cache, which is out of date after waiting for the lock below.
 */
const lookSql = `
  SELECT current_setting('server_version_num')::int AS version,
         current_setting('server_version') AS version_name,
         getdatabaseencoding() AS encoding,
         pg_is_in_recovery() AS is_replica,
         EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1) AS has_schema,
         EXISTS (SELECT FROM pg_catalog.pg_class AS relation
                 JOIN pg_catalog.pg_namespace AS space ON space.oid = relation.relnamespace
                 WHERE nspname = $1 AND relname = 'treaty_migrations') AS has_versions`

async function readVersions(access: PostgresAccess, query: Query): Promise<Map<string, number>> {
  const { schema, place } = access
  const [facts] = await query(lookSql, [place.schema])
  refuseServer(place.name, facts ?? {})
  if (facts?.has_versions !== true) return new Map()
  const rows = await query(
    `SELECT component, max(version) AS version FROM ${schema}.treaty_migrations GROUP BY component`,
  )
  return new Map(rows.map((row) => [String(row.component), Number(row.version)]))
}

function refuseServer(name: string, facts: Row): void {
  const refuse = (problem: string, hint: string) => {
    throw new TreatyError('STORE_UNAVAILABLE', `the store ${name} ${problem}`, { hint })
  }
  if (Number(facts.version) < serverVersionMin) {
    refuse(`runs PostgreSQL ${facts.version_name}, and 13 is needed`, 'Upgrade the server.')
  }
  if (facts.encoding !== 'UTF8') {
    refuse(`keeps text in ${facts.encoding}`, 'Create a database with the encoding UTF8.')
  }
  if (facts.is_replica === true) {
    refuse('is a read-only replica', 'Name the primary server in the URL.')
  }
}

function refuseNewer(
  name: string,
  versions: ReadonlyMap<string, number>,
  components: readonly PostgresMigrations[],
): void {
  for (const { component, migrations } of components) {
    const has = versions.get(component) ?? 0
    if (has <= migrations.length) continue
    throw new TreatyError(
      'STORE_TOO_NEW',
      `the store ${name} was written by a newer Treaty: its ${component} version is ${has}, and this Treaty knows ${migrations.length}`,
      {
        hint: 'Install the newer Treaty, or name another schema',
        details: { store: name, what: component, has, knows: migrations.length },
      },
    )
  }
}

function reportOf(
  versions: ReadonlyMap<string, number>,
  components: readonly PostgresMigrations[],
): MigrationReport[] {
  return components.map(({ component, migrations }) => ({
    component,
    from: versions.get(component) ?? 0,
    to: migrations.length,
  }))
}

const isBehind = ({ from, to }: MigrationReport) => from < to

/**
 * What {@link migratePostgres} would do; changes nothing.
 *
 * @throws STORE_TOO_NEW, and the codes of reaching the server
 */
export async function planPostgresMigration(
  access: PostgresAccess,
  components: readonly PostgresMigrations[],
): Promise<MigrationReport[]> {
  const versions = await readVersions(access, access.read)
  refuseNewer(access.place.name, versions, components)
  return reportOf(versions, components)
}

/**
 * Brings every component to its newest version. Any number of processes may do so at the same
 * time: one works under an advisory lock, the others wait and find it done. A schema that is up to date is only read.
 *
 * @throws STORE_TOO_NEW before anything was changed, STORE_ACCESS_DENIED without the right to create tables
 */
export async function migratePostgres(
  access: PostgresAccess,
  components: readonly PostgresMigrations[],
): Promise<MigrationReport[]> {
  const seen = await planPostgresMigration(access, components)
  if (!seen.some(isBehind)) return seen
  return access.transaction(async (query) => {
    // Before CREATE SCHEMA IF NOT EXISTS, which fails when two run it at the same instant.
    await query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `treaty migrate ${access.place.schema}`,
    ])
    const versions = await readVersions(access, query)
    refuseNewer(access.place.name, versions, components)
    await createVersions(access, query)
    for (const { component, migrations } of components) {
      for (const [index, script] of migrations.entries()) {
        if (index < (versions.get(component) ?? 0)) continue
        await query(script(access.schema))
        await query(`INSERT INTO ${access.schema}.treaty_migrations VALUES ($1, $2)`, [
          component,
          index + 1,
        ])
      }
    }
    return reportOf(versions, components)
  })
}

async function createVersions({ schema, place }: PostgresAccess, query: Query): Promise<void> {
  const [found] = await query(lookSql, [place.schema])
  // Only where it is missing: IF NOT EXISTS asks for the right to create one also when it is there.
  if (found?.has_schema !== true) await query(`CREATE SCHEMA ${schema}`)
  await query(`
    CREATE TABLE IF NOT EXISTS ${schema}.treaty_migrations (
      component text NOT NULL,
      version integer NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (component, version)
    )`)
}
