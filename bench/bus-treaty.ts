import { openBus } from 'treatyjs'
import { createFlow, type Flow, type Load, makeOrders } from './bus-load.ts'
import { type Side, timed } from './measure.ts'
import { type Order, orderContract } from './orders.ts'

export interface OpenedSide extends Side {
  close(): Promise<void>
}

/** The embedded bus on a file: published in batches, validated on both ends, each message acknowledged on disk. */
export async function treatySide(
  name: string,
  options: { readonly file: string; readonly load: Load; readonly key?: string },
): Promise<OpenedSide> {
  const { file, load, key } = options
  const contract = orderContract(key === undefined ? {} : { key })
  const bus = await openBus({ contracts: [contract], transport: `sqlite:${file}`, service: 'shop' })
  const orders = makeOrders(load.messages)
  let flow: Flow | undefined
  await bus.consume(
    'billing',
    { 'order.placed': (message: { data: unknown }) => flow?.handling(message.data as Order) },
    {
      concurrency: 1000,
      prefetch: 1000,
      onSettled({ outcome }) {
        if (outcome !== 'ack') throw new Error(`a message ended as ${outcome}`)
        flow?.acknowledged(1)
      },
    },
  )
  const publish = async (batch: readonly Order[]) => {
    const results = await bus.publishMany(batch.map((data) => ({ event: 'order.placed', data })))
    for (const result of results) if ('error' in result) throw result.error
  }
  return {
    name,
    round() {
      const current = createFlow(load, orders)
      flow = current
      return timed(load.messages, () => current.run(publish))
    },
    close: () => bus.close(),
  }
}
