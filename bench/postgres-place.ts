import { Client } from 'pg'
import { processCpuMicros } from './server-cpu.ts'

/** A database of its own on a PostgreSQL server, so that its processor time can be told from that of others. */
export interface PostgresPlace {
  readonly url: string
  /** Microseconds of CPU that the connections to this database have used so far; those that have ended are not counted. */
  cpuMicros(): Promise<number>
  drop(): Promise<void>
}

export async function freshDatabase(server: string): Promise<PostgresPlace> {
  const name = `bench_${process.pid}_${Date.now()}`
  const client = new Client({ connectionString: server })
  await client.connect()
  await client.query(`CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    url: url.href,
    async cpuMicros() {
      const { rows } = await client.query('SELECT pid FROM pg_stat_activity WHERE datname = $1', [
        name,
      ])
      return rows.reduce((sum, row) => sum + processCpuMicros(Number(row.pid)), 0)
    },
    async drop() {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await client.end()
    },
  }
}
