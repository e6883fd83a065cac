import { setTimeout as delay } from 'node:timers/promises'
import { PgBoss } from 'pg-boss'
import { createFlow, type Flow, type Load, makeOrders } from './bus-load.ts'
import type { OpenedSide } from './bus-treaty.ts'
import { timed } from './measure.ts'
import type { Order } from './orders.ts'
import { freshDatabase } from './postgres-place.ts'

const unfinishedSql = `SELECT count(*) AS left FROM pgboss.job WHERE state IN ('created', 'active')`

/**
 * pg-boss as its documentation recommends it for throughput: `insert` of many, workers that fetch whole batches and go on at
 * once while these are full (`burstWhenBatchFull`), woken by NOTIFY. Nothing is validated on this side.
 */
export async function pgBossSide(
  name: string,
  options: {
    readonly server: string
    readonly load: Load
    readonly batchSize: number
    readonly workers: number
  },
): Promise<OpenedSide> {
  const { server, load, batchSize, workers } = options
  const place = await freshDatabase(server)
  const boss = new PgBoss({ connectionString: place.url, useListenNotify: true })
  const queue = 'orders'
  let failure: unknown
  boss.on('error', (error: unknown) => {
    failure ??= error
  })
  await boss.start()
  await boss.createQueue(queue, { notify: true, retryLimit: 4 })
  const orders = makeOrders(load.messages)
  let flow: Flow | undefined
  const polling = { batchSize, localConcurrency: workers, pollingIntervalSeconds: 0.5 }
  await boss.work<Order>(queue, { ...polling, burstWhenBatchFull: true }, async (jobs) => {
    for (const job of jobs) flow?.handling(job.data)
    // It completes them when this returns, and tells nobody; the end of a round waits until all are.
    flow?.acknowledged(jobs.length)
  })
  const unfinished = async () =>
    Number((await boss.getDb().executeSql(unfinishedSql, [])).rows[0]?.left)
  const publish = (batch: readonly Order[]) =>
    boss.insert(
      queue,
      batch.map((data) => ({ data })),
    )
  return {
    name,
    async round() {
      const current = createFlow(load, orders)
      flow = current
      const cpuBefore = await place.cpuMicros()
      const round = await timed(load.messages, async () => {
        const latencies = await current.run(publish)
        while ((await unfinished()) > 0) await delay(5)
        return latencies
      })
      if (failure !== undefined) throw failure
      return { ...round, cpuMicros: round.cpuMicros + (await place.cpuMicros()) - cpuBefore }
    },
    async close() {
      await boss.stop({ graceful: false })
      await place.drop()
    },
  }
}
