import { openBus } from 'treatyjs'

const contracts = new URL('../01-first-contract/contracts', import.meta.url).pathname
await using bus = await openBus({ contracts, transport: 'memory:' })

let isDatabaseAway = true
const died = Promise.withResolvers<void>()
const handled = Promise.withResolvers<string>()
await bus.consume(
  'billing',
  {
    'order.placed': (message, context) => {
      console.log(`attempt ${context.attempt}`)
      if (isDatabaseAway) throw new Error('the database is away')
      handled.resolve(message.id)
    },
  },
  { onSettled: (event) => event.outcome === 'dead' && died.resolve() },
)

const { id } = await bus.publish('order.placed', { orderId: 'o-1', total: 1990 })
await died.promise

const [letter] = (await bus.dead.list()).items
console.log(`dead after ${letter?.attempts} attempts: ${letter?.reason}, ${letter?.message}`)

isDatabaseAway = false
await bus.dead.replay(letter?.id ?? '')
console.log(`handled under the same id: ${(await handled.promise) === id}`)
