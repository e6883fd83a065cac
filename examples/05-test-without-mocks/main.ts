import { loadContracts } from 'treatyjs'
import { createTestBus } from 'treatyjs/testing'

const { contracts } = await loadContracts(
  new URL('../01-first-contract/contracts', import.meta.url).pathname,
)
await using bus = await createTestBus(contracts)

// The handler under test: real retries, on a clock that the test owns.
const invoices: string[] = []
await bus.consume('billing', {
  'order.placed': (message, context) => {
    if (context.attempt < 3) throw new Error('not yet')
    invoices.push((message.data as { orderId: string }).orderId)
  },
})

await bus.publish('order.placed', bus.fake('order.placed', { orderId: 'o-7' }))
await bus.settled()

console.log('invoices:', invoices.join())
console.log('published:', bus.published('order.placed').length)
console.log('dead letters:', (await bus.deadLetters()).length)
