// node main.ts [URL]      kafka://… nats://… amqp://… redis://… postgres://… sqlite:FILE memory:
import { randomUUID } from 'node:crypto'
import { defineContract, openBus, openTransport } from 'treatyjs'

// A name that nobody else has: the broker may be shared.
const id = `example.t${randomUUID().slice(0, 8)}`

const shop = defineContract({
  id,
  version: '1.0.0',
  status: 'active',
  purpose: 'Shows that one program runs on every broker.',
  channels: {
    orders: { address: `${id}.orders`, key: 'customer', ordering: 'per-key' },
    payments: { address: `${id}.payments` },
  },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when a customer has placed an order.',
      schema: {
        type: 'object',
        required: ['customer', 'number'],
        properties: { customer: { type: 'string' }, number: { type: 'integer' } },
      },
    },
  },
  commands: {
    'payment.capture': {
      channel: 'payments',
      purpose: 'Takes the money for all orders of a customer.',
      schema: {
        type: 'object',
        required: ['customer'],
        properties: { customer: { type: 'string' } },
      },
      reply: {
        type: 'object',
        required: ['orders'],
        properties: { orders: { type: 'integer' } },
      },
      timeout: '20s',
      handler: 'billing',
    },
  },
  producers: { shop: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { handling: 'Puts the order on the bill of its customer.' } },
      retry: { attempts: 3, base: '50ms', factor: 2, cap: '200ms', jitter: 'none' },
      deadLetter: { address: `${id}.orders.billing.dlq`, retention: '7d' },
    },
  },
})

const customers = ['ada', 'bob', 'eve']
const url = process.argv[2] ?? 'memory:'
await using bus = await openBus({ contracts: [shop], transport: url })

const bills = new Map(customers.map((customer) => [customer, [] as number[]]))
const isBilled = Promise.withResolvers<void>()
const isDead = Promise.withResolvers<void>()
const isRepaired = Promise.withResolvers<void>()
let attempts = 0
let isDatabaseAway = true

await bus.consume(
  'billing',
  {
    'order.placed': ({ data: { customer, number } }, { attempt }) => {
      if (customer === 'mallory') {
        if (isDatabaseAway) throw new Error('the database is away')
        isRepaired.resolve()
        return
      }
      // The third order of each customer fails once; the fourth waits for it.
      if (number === 3 && attempt === 1) throw new Error('try again')
      attempts = Math.max(attempts, attempt)
      bills.get(customer)?.push(number)
      if (customers.every((each) => bills.get(each)?.length === 10)) isBilled.resolve()
    },
  },
  { onSettled: ({ outcome }) => outcome === 'dead' && isDead.resolve() },
)
await bus.handle('payment.capture', ({ data }) => ({
  orders: bills.get(data.customer)?.length ?? 0,
}))

for (let number = 1; number <= 10; number += 1) {
  await bus.publishMany(
    customers.map((customer) => ({ event: 'order.placed', data: { customer, number } })),
  )
}
await isBilled.promise
for (const [customer, bill] of bills) console.log(`${customer}: ${bill.join(' ')}`)
console.log(`attempts of a third order: ${attempts}`)

const { id: messageId } = await bus.publish('order.placed', { customer: 'mallory', number: 1 })
await isDead.promise
const letter = (await bus.dead.list()).items.find((each) => each.messageId === messageId)
console.log(`dead after ${letter?.attempts} attempts: ${letter?.message}`)
isDatabaseAway = false
await bus.dead.replay(letter?.id ?? '')
await isRepaired.promise
console.log('replayed and handled')

const reply = await bus.request('payment.capture', { customer: 'ada' })
console.log(`ada pays for ${reply.data.orders} orders`)

// Nothing stays on the broker: once its consumers have left, channels and groups can go.
await bus.close()
const transport = await openTransport(url)
await transport.connect()
await transport.remove?.({
  subscriptions: [],
  groups: [`${id}.billing`, `${id}.billing.payment.capture`],
  channels: [`${id}.orders`, `${id}.payments`],
})
await transport.close({ drainMs: 0 })
