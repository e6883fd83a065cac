import { setTimeout as delay } from 'node:timers/promises'
import { openBus } from 'treatyjs'
import { makeOrders } from './bus-load.ts'
import { type Order, orderContract } from './orders.ts'

// One process of `bench/scale`: a producer and a replica of the consumer. Told what to do by its parent, as JSON in its argument.

export interface ScaleTask {
  readonly transport: string
  readonly address: string
  readonly partitions: number
  /** Messages that this process sends. */
  readonly messages: number
  /** Its number: keys and ids of processes differ. */
  readonly number: number
}

const batch = 500
/** Acknowledgements are told to the parent so often, in milliseconds. */
const tellMs = 20

const task = JSON.parse(process.argv[2] ?? '{}') as ScaleTask
const { partitions } = task
const bus = await openBus({
  contracts: [
    orderContract({
      key: 'customer.id',
      address: task.address,
      bindings: {
        kafka: { partitions },
        nats: { partitions },
        redis: { partitions },
        rabbitmq: { partitions },
      },
    }),
  ],
  transport: task.transport,
  service: 'shop',
})
const orders: Order[] = makeOrders(task.messages).map((order, at) => ({
  ...order,
  customer: { ...order.customer, id: `customer-${task.number}-${at % 1000}` },
}))
let acknowledged = 0
let isFull = false
await bus.consume(
  'billing',
  { 'order.placed': () => undefined },
  {
    concurrency: 1000,
    prefetch: 1000,
    onSettled({ outcome }) {
      if (outcome === 'ack') acknowledged += 1
    },
  },
)
setInterval(() => {
  if (acknowledged > 0) process.send?.({ acknowledged })
  acknowledged = 0
}, tellMs)

/** The parent sees how far all of them are: nobody goes on sending while too much is under way. */
process.on('message', (told: { go?: number; isFull?: boolean; end?: true }) => {
  if (told.isFull !== undefined) isFull = told.isFull
  if (told.go !== undefined) void publishAll(told.go)
  if (told.end === true) void bus.close().then(() => process.exit(0))
})

async function publishAll(count: number): Promise<void> {
  const publishers = Array.from({ length: 2 }, async (_, first) => {
    for (let at = first * batch; at < count; at += 2 * batch) {
      while (isFull) await delay(2)
      const part = orders.slice(at, Math.min(count, at + batch))
      process.send?.({ sent: part.length })
      const results = await bus.publishMany(part.map((data) => ({ event: 'order.placed', data })))
      for (const result of results) if ('error' in result) throw result.error
    }
  })
  await Promise.all(publishers)
}
process.send?.({ ready: true })
