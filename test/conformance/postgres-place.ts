import { randomUUID } from 'node:crypto'
import { Client } from 'pg'

/** Runs statements on a connection of its own. */
export async function onPostgres<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** A schema that nobody has used, as the URL of a store or transport in it. */
export function freshSchema(url: string): { url: string; schema: string; drop(): Promise<void> } {
  const schema = `test_${randomUUID().replaceAll('-', '')}`
  const place = new URL(url)
  place.searchParams.set('schema', schema)
  return {
    url: place.href,
    schema,
    drop: () => onPostgres(url, (client) => dropSchema(client, schema)),
  }
}

/** The statement of a client that was killed may still run, and wait for what the drop has locked. */
async function dropSchema(client: Client, schema: string, attempts = 5): Promise<void> {
  try {
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  } catch (error) {
    if ((error as { code?: string }).code !== '40P01' || attempts === 0) throw error
    await dropSchema(client, schema, attempts - 1)
  }
}
