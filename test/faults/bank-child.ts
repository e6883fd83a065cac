import { openBus } from '../../src/index.ts'
import { accounts, bank, book } from './bank.ts'

// A process of the bank, to be killed: `node bank-child.ts ledger|teller FILE`.
const [, , role, file] = process.argv
const bus = await openBus({ contracts: [bank], transport: `sqlite:${file}`, leaseMs: 2000 })

if (role === 'ledger') {
  let seen = 0
  await bus.consume('ledger', {
    'transfer.requested': async (message, context) => {
      seen += 1
      // Some fail at first, and some take their time: a kill then falls into every phase.
      if (seen % 17 === 0 && context.attempt === 1) throw new Error('the ledger was busy')
      if (seen % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 3))
      context.commit((tx) => book(tx, message.id, message.data))
    },
  })
  process.send?.({ kind: 'ready' })
} else {
  process.send?.({ kind: 'ready' })
  for (let number = 0; ; number += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, at) => transfer(number + at)))
  }
}

async function transfer(number: number): Promise<void> {
  const from = accounts[number % accounts.length] as string
  const to = accounts[(number * 7 + 3) % accounts.length] as string
  const data = { from, to, amount: 1 + (number % 9), number }
  const { id } = await bus.publish('transfer.requested', data)
  process.send?.({ kind: 'confirmed', id })
}
