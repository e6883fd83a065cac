import { makeOrder, type Order } from './orders.ts'

/** How a round loads a bus; the same for every side. */
export interface Load {
  readonly messages: number
  /** Messages handed over in one call. */
  readonly batch: number
  /** Most messages published and not yet acknowledged by the consumer: bounds the queue, and so the latency. */
  readonly window: number
}

/** One round in progress. */
export interface Flow {
  /** To be called when a handler begins. */
  handling(order: Order): void
  /** To be called when that many messages are acknowledged for good. */
  acknowledged(count: number): void
  /** Publishes all; resolves when all are acknowledged. The latencies of a sample, publish call to handler. */
  run(publish: (orders: readonly Order[]) => Promise<unknown>): Promise<readonly number[]>
}

/** Every n-th message is timed: a clock call for each would be measured too. */
const sampleEvery = 20
/** Batches on their way at the same time. */
const publishers = 4

export function createFlow(load: Load, orders: readonly Order[]): Flow {
  const { messages, batch, window } = load
  const sentAt = new Map<string, number>()
  const latencies: number[] = []
  const finished = Promise.withResolvers<void>()
  let next = 0
  let done = 0
  let waiting: (() => void)[] = []

  const publishAll = async (publish: (orders: readonly Order[]) => Promise<unknown>) => {
    while (next < messages) {
      if (next - done > window - batch) {
        await new Promise<void>((resolve) => waiting.push(resolve))
        continue
      }
      const from = next
      next = Math.min(messages, next + batch)
      const now = performance.now()
      for (let n = from; n < next; n += sampleEvery) {
        sentAt.set((orders[n] as Order).orderId, now)
      }
      await publish(orders.slice(from, next))
    }
  }
  return {
    handling({ orderId }) {
      if (!sentAt.has(orderId)) return
      latencies.push(performance.now() - (sentAt.get(orderId) ?? 0))
      sentAt.delete(orderId)
    },
    acknowledged(count) {
      done += count
      if (done >= messages) finished.resolve()
      const wake = waiting
      waiting = []
      for (const each of wake) each()
    },
    async run(publish) {
      const publishing = Array.from({ length: publishers }, () => publishAll(publish))
      await Promise.all([...publishing, finished.promise])
      return latencies
    },
  }
}

/** Made before the time is taken: making them is nobody's work. */
export function makeOrders(count: number): Order[] {
  return Array.from({ length: count }, (_, n) => makeOrder(n))
}
