import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import { Pool } from 'pg'
import { createFlow, type Flow, type Load, makeOrders } from './bus-load.ts'
import type { OpenedSide } from './bus-treaty.ts'
import { timed } from './measure.ts'
import type { Order } from './orders.ts'
import { freshDatabase } from './postgres-place.ts'

/**
 * graphile-worker as its documentation recommends it for throughput: `add_jobs` for many, one runner of high concurrency with
 * a pool as large, prepared statements, woken by NOTIFY. Nothing is validated on this side.
 */
export async function graphileSide(
  name: string,
  options: { readonly server: string; readonly load: Load; readonly concurrency: number },
): Promise<OpenedSide> {
  const { server, load, concurrency } = options
  // A runner stops when another schema of its database is migrated.
  const place = await freshDatabase(server)
  const schema = 'graphile_worker'
  const logger = new Logger(() => () => undefined)
  const pool = new Pool({ connectionString: place.url, max: concurrency + 4 })
  // An idle connection may end before the pool does; the next statement makes a new one.
  pool.on('error', () => undefined)
  const utils = await makeWorkerUtils({ pgPool: pool, schema, logger })
  await utils.migrate()
  const orders = makeOrders(load.messages)
  let flow: Flow | undefined
  const runner = await run({
    pgPool: pool,
    schema,
    logger,
    concurrency,
    pollInterval: 500,
    taskList: { order: (payload) => flow?.handling(payload as Order) },
  })
  runner.events.on('job:complete', () => flow?.acknowledged(1))
  const publish = (batch: readonly Order[]) =>
    pool.query({
      name: 'add',
      text: `SELECT count(*) FROM ${schema}.add_jobs(ARRAY(
        SELECT json_populate_record(NULL::${schema}.job_spec, json_build_object('identifier', 'order', 'payload', payload))
        FROM unnest($1::json[]) AS one (payload)))`,
      values: [batch.map((order) => JSON.stringify(order))],
    })
  return {
    name,
    async round() {
      const current = createFlow(load, orders)
      flow = current
      const cpuBefore = await place.cpuMicros()
      const round = await timed(load.messages, () => current.run(publish))
      return { ...round, cpuMicros: round.cpuMicros + (await place.cpuMicros()) - cpuBefore }
    },
    async close() {
      await runner.stop()
      await utils.release()
      await pool.end()
      await place.drop()
    },
  }
}
