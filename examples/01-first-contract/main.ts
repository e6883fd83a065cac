import { isTreatyError, openBus } from 'treatyjs'

const contracts = new URL('contracts', import.meta.url).pathname
await using bus = await openBus({ contracts, transport: 'memory:' })

const handled = Promise.withResolvers<void>()
await bus.consume('billing', {
  'order.placed': (message) => {
    const { orderId, total } = message.data as { orderId: string; total: number }
    console.log(`invoice for ${orderId}: ${total}`)
    handled.resolve()
  },
})

await bus.publish('order.placed', { orderId: 'o-1', total: 1990 })
await handled.promise

try {
  await bus.publish('order.placed', { orderId: 'o-2', total: '1990' })
} catch (error) {
  if (!isTreatyError(error)) throw error
  console.log(`refused: ${error.code} at ${error.findings[0]?.pointer}`)
}
