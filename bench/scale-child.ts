import { setTimeout as delay } from 'node:timers/promises'
import { openBus } from 'treatyjs'
import { makeOrders } from './bus-load.ts'
import { type Order, orderContract } from './orders.ts'

// One process of `bench/scale`: a producer, a replica of the consumer, or both. Told what to do by its parent, as JSON in its argument.

export interface ScaleTask {
  readonly transport: string
  readonly address: string
  readonly partitions: number
  readonly role: 'producer' | 'consumer' | 'both'
  /** Its number: keys of processes differ. */
  readonly number: number
}

/** What the parent tells. */
export interface ToChild {
  /** Send so many. */
  readonly go?: number
  /** Too much is under way: nobody goes on sending. */
  readonly isFull?: boolean
  readonly end?: true
}

/** What a process tells. */
export interface FromChild {
  readonly ready?: true
  readonly sent?: number
  readonly acknowledged?: number
  readonly failed?: string
}

const batch = 500
/** Orders that are made before the time is taken, and sent again and again. */
const ordersMade = 10_000
/** Acknowledgements are told to the parent so often, in milliseconds. */
const tellMs = 20

const task = JSON.parse(process.argv[2] ?? '{}') as ScaleTask
const { partitions } = task
const tell = (told: FromChild) => void process.send?.(told)
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
const progress = { acknowledged: 0, isFull: false }
if (task.role !== 'producer') {
  await bus.consume(
    'billing',
    { 'order.placed': () => undefined },
    {
      concurrency: 1000,
      prefetch: 1000,
      onSettled({ outcome }) {
        if (outcome === 'ack') progress.acknowledged += 1
        else tell({ failed: `a message ended as ${outcome}` })
      },
    },
  )
  setInterval(() => {
    if (progress.acknowledged > 0) tell({ acknowledged: progress.acknowledged })
    progress.acknowledged = 0
  }, tellMs)
}
const orders: Order[] =
  task.role === 'consumer'
    ? []
    : makeOrders(ordersMade).map((order, at) => ({
        ...order,
        customer: { ...order.customer, id: `customer-${task.number}-${at % 1000}` },
      }))

process.on('message', (told: ToChild) => {
  if (told.isFull !== undefined) progress.isFull = told.isFull
  if (told.go !== undefined && task.role !== 'consumer') {
    publishAll(told.go).catch((error: unknown) => tell({ failed: String(error) }))
  }
  if (told.end === true) void bus.close().finally(() => process.exit(0))
})

// Nobody is left to tell, and nobody would end us.
process.on('disconnect', () => process.exit(1))

async function publishAll(count: number): Promise<void> {
  const publishers = Array.from({ length: 2 }, async (_, first) => {
    for (let at = first * batch; at < count; at += 2 * batch) {
      while (progress.isFull) await delay(2)
      const from = at % ordersMade
      const part = orders.slice(from, from + Math.min(batch, count - at))
      tell({ sent: part.length })
      const results = await bus.publishMany(part.map((data) => ({ event: 'order.placed', data })))
      for (const result of results) if ('error' in result) throw result.error
    }
  })
  await Promise.all(publishers)
}
tell({ ready: true })
