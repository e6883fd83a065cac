import type { DatabaseSync } from 'node:sqlite'
import { openBus } from 'treatyjs'

const contracts = new URL('../01-first-contract/contracts', import.meta.url).pathname
await using bus = await openBus({ contracts, transport: 'memory:' })

const settled = Promise.withResolvers<void>()
await bus.consume(
  'billing',
  {
    'order.placed': (message, context) => {
      const { orderId, total } = message.data as { orderId: string; total: number }
      // Runs after the handler has returned, in the transaction that acknowledges the message.
      context.commit((tx) => {
        const db = tx as DatabaseSync
        db.exec('CREATE TABLE IF NOT EXISTS invoice (order_id TEXT, total INTEGER)')
        db.prepare('INSERT INTO invoice VALUES (?, ?)').run(orderId, total)
        if (context.attempt === 1) throw new Error('the first attempt fails: its row is undone')
        console.log('rows:', db.prepare('SELECT count(*) AS n FROM invoice').get()?.n)
      })
    },
  },
  { onSettled: (event) => event.outcome === 'ack' && settled.resolve() },
)

await bus.publish('order.placed', { orderId: 'o-1', total: 1990 })
await settled.promise
const { handled, retried } = await bus.stats()
console.log(`handled ${handled}, retried ${retried}`)
