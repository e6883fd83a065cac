import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { createFlow, type Flow, type Load, makeOrders } from './bus-load.ts'
import type { OpenedSide } from './bus-treaty.ts'
import { timed } from './measure.ts'
import type { Order } from './orders.ts'

/** Microseconds of CPU that the Redis server has used so far. */
async function serverCpuMicros(redis: Redis): Promise<number> {
  const info = await redis.info('cpu')
  const seconds = (field: string) =>
    Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info)?.[1] ?? 0)
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

/**
 * BullMQ as its documentation recommends it for throughput: addBulk, one worker of high concurrency, done
 * jobs removed, connections of their own. Nothing is validated on this side.
 */
export async function bullmqSide(
  name: string,
  options: { readonly url: string; readonly load: Load; readonly concurrency: number },
): Promise<OpenedSide> {
  const { url, load, concurrency } = options
  const connect = () => new Redis(url, { maxRetriesPerRequest: null, enableAutoPipelining: true })
  const [forQueue, forWorker, forInfo] = [connect(), connect(), connect()]
  const queueName = `bench-${process.pid}-${concurrency}`
  const queue = new Queue(queueName, {
    connection: forQueue,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  })
  const orders = makeOrders(load.messages)
  let flow: Flow | undefined
  const worker = new Worker(queueName, async (job) => flow?.handling(job.data as Order), {
    connection: forWorker,
    concurrency,
  })
  worker.on('completed', () => flow?.acknowledged(1))
  await worker.waitUntilReady()
  const publish = (batch: readonly Order[]) =>
    queue.addBulk(batch.map((data) => ({ name: 'order.placed', data })))
  return {
    name,
    async round() {
      const current = createFlow(load, orders)
      flow = current
      const cpuBefore = await serverCpuMicros(forInfo)
      const round = await timed(load.messages, () => current.run(publish))
      const serverMicros = (await serverCpuMicros(forInfo)) - cpuBefore
      return { ...round, cpuMicros: round.cpuMicros + serverMicros }
    },
    async close() {
      await worker.close()
      await queue.obliterate({ force: true })
      await queue.close()
      for (const redis of [forQueue, forWorker, forInfo]) redis.disconnect()
    },
  }
}
