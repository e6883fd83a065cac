import { openBus } from 'treatyjs'
import { type Order, orderContract } from '../orders.ts'
import type { OpenEnds } from './ends.ts'

/** Handlers at the same time, and as many messages read ahead. */
export const concurrency = 1000

/** A bus on any broker: keyed by customer, validated on both ends, every message acknowledged by its broker. */
export function treatyEnds(
  transport: string,
  options: Omit<NonNullable<Parameters<typeof orderContract>[0]>, 'key'> = {},
): OpenEnds {
  return async (told) => {
    const contract = orderContract({ key: 'customer.id', ...options })
    const bus = await openBus({ contracts: [contract], transport, service: 'shop' })
    await bus.consume(
      'billing',
      { 'order.placed': (message: { data: unknown }) => told.handling(message.data as Order) },
      {
        concurrency,
        prefetch: concurrency,
        onSettled({ outcome }) {
          if (outcome !== 'ack') throw new Error(`a message ended as ${outcome}`)
          told.acknowledged(1)
        },
      },
    )
    return {
      async publish(orders) {
        const results = await bus.publishMany(
          orders.map((data) => ({ event: 'order.placed', data })),
        )
        for (const result of results) if ('error' in result) throw result.error
      },
      close: () => bus.close(),
    }
  }
}
