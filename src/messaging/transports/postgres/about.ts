import type { Clock } from '../../../core/clock.ts'
import { loadPostgresDriver, mapPostgresError, readPostgresUrl } from '../../../store/index.ts'
import { type BrokerFacts, compareClocks } from '../../watch/broker-facts.ts'

const connectMs = 5000

/** Without these, what was committed may be lost with the machine. */
const needed = [
  ['fsync', 'on'],
  ['full_page_writes', 'on'],
] as const

/** Version, clock and durability of a PostgreSQL server. @throws the STORE_ codes */
export async function aboutPostgres(url: string, clock: Clock): Promise<BrokerFacts> {
  const { connection, name } = readPostgresUrl(url)
  const { Client } = await loadPostgresDriver()
  const client = new Client({ connectionString: connection, connectionTimeoutMillis: connectMs })
  // Without a listener a connection that ends would end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    const one = async (sql: string) => Object.values((await client.query(sql)).rows[0] ?? {})[0]
    const version = String(await one('SHOW server_version'))
    const clocks = await compareClocks(clock, async () =>
      Number(await one('SELECT extract(epoch FROM clock_timestamp()) * 1000')),
    )
    const unsafe: string[] = []
    for (const [setting, value] of needed) {
      const found = String(await one(`SHOW ${setting}`))
      if (found !== value)
        unsafe.push(
          `${setting} is ${found}: a crash of the machine can lose or tear what was committed`,
        )
    }
    if (String(await one('SHOW synchronous_commit')) === 'off') {
      unsafe.push(
        'synchronous_commit is off: what was committed in the last moments can be lost with the machine',
      )
    }
    return { version: `PostgreSQL ${version.split(' ')[0]}`, ...clocks, unsafe }
  } catch (error) {
    throw mapPostgresError(error, name)
  } finally {
    await client.end().catch(() => undefined)
  }
}
