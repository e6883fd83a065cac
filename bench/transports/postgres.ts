import { Pool, type PoolClient } from 'pg'
import type { Load } from '../bus-load.ts'
import { startPeer } from '../peers.ts'
import { freshDatabase } from '../postgres-place.ts'
import type { BrokerBench } from './broker-bench.ts'
import { decode, encode, type OpenEnds } from './ends.ts'
import { treatyEnds } from './treaty.ts'

const takeSql = (table: string) => `DELETE FROM ${table} WHERE seq IN (
  SELECT seq FROM ${table} ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING seq, key, body`

/** Takes a batch and ends its transaction; true: there was something. */
type Take = (client: PoolClient) => Promise<boolean>

interface Row {
  readonly seq: string
  readonly body: string
}

/**
 * A queue as one writes it with `pg` alone: a table with a serial key, many rows inserted by one statement, one loop that deletes
 * and returns the next ones, woken inside the process.
 */
function bareEnds(
  url: string,
  options: { readonly table: string; readonly isAtOnce: boolean },
): OpenEnds {
  const { table, isAtOnce } = options
  return async (told) => {
    const pool = new Pool({ connectionString: url, max: 6 })
    pool.on('error', () => undefined)
    await pool.query(
      `CREATE TABLE ${table} (seq bigserial PRIMARY KEY, key text NOT NULL, body text NOT NULL)
       WITH (autovacuum_vacuum_scale_factor = 0.01)`,
    )
    const handle = (rows: Row[]) => {
      rows.sort((a, b) => Number(a.seq) - Number(b.seq))
      for (const { body } of rows) told.handling(decode(body))
    }
    const takeRows = async (client: PoolClient) =>
      (await client.query<Row>({ name: 'take', text: takeSql(table), values: [500] })).rows
    const takeAtOnce: Take = async (client) => {
      const rows = await takeRows(client)
      handle(rows)
      told.acknowledged(rows.length)
      return rows.length > 0
    }
    const takeAround: Take = async (client) => {
      await client.query('BEGIN')
      const rows = await takeRows(client)
      handle(rows)
      await client.query('COMMIT')
      told.acknowledged(rows.length)
      return rows.length > 0
    }
    const take = isAtOnce ? takeAtOnce : takeAround
    let isOver = false
    let wake = Promise.withResolvers<void>()
    const loop = async () => {
      const client = await pool.connect()
      while (!isOver) {
        const woken = wake.promise
        if (!(await take(client))) await woken
      }
      client.release()
    }
    const looping = loop()
    const signal = () => {
      wake.resolve()
      wake = Promise.withResolvers()
    }
    return {
      async publish(orders) {
        await pool.query({
          name: 'add',
          text: `INSERT INTO ${table} (key, body) SELECT * FROM unnest($1::text[], $2::text[])`,
          values: [orders.map(({ customer }) => customer.id), orders.map((order) => encode(order))],
        })
        signal()
      },
      async close() {
        isOver = true
        signal()
        await looping
        await pool.end()
      },
    }
  }
}

/** PostgreSQL: NestJS has no transport for it, so there is only the bare client. */
export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('postgres')
  if ('reason' in peer) return peer
  const place = await freshDatabase(peer.url)
  return {
    load,
    serverCpu: place.cpuMicros,
    bar: 0.85,
    sides: {
      treaty: treatyEnds(place.url),
      bare: bareEnds(place.url, { table: 'bare', isAtOnce: true }),
      others: {
        'pg, transaction around the handlers': bareEnds(place.url, {
          table: 'around',
          isAtOnce: false,
        }),
      },
    },
    notes: [
      'postgres: fsync and synchronous_commit on, a database of its own; bare: one-statement DELETE … RETURNING of 500 with SKIP LOCKED (a message is gone before its handler runs), INSERT of 500 by unnest',
      'postgres: NestJS has no transport for it',
    ],
    async close() {
      await place.drop()
      peer.release()
    },
  }
}
