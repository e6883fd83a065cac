import { openBus } from '../../src/index.ts'
import { accounts, bank } from './bank.ts'

// A process of the bank on PostgreSQL, to be killed: `node bank-postgres-child.ts ledger|teller URL SCHEMA`.
const [, , role, url = '', schema = ''] = process.argv
const bus = await openBus({ contracts: [bank], transport: url, leaseMs: 2000 })

interface Sql {
  query(text: string, values?: readonly unknown[]): Promise<unknown>
}

if (role === 'ledger') {
  let seen = 0
  await bus.consume('ledger', {
    'transfer.requested': async (message, context) => {
      seen += 1
      // Some fail at first, and some take their time: a kill then falls into every phase.
      if (seen % 17 === 0 && context.attempt === 1) throw new Error('the ledger was busy')
      const { from, to, amount, number } = message.data
      context.commit(async (handle) => {
        const tx = handle as Sql
        const move = `UPDATE ${schema}.account SET balance = balance + $1 WHERE name = $2`
        // In one order everywhere: two transfers between the same accounts would wait for each other.
        const moves = [
          [from, -amount],
          [to, amount],
        ].sort()
        for (const [name, by] of moves) await tx.query(move, [by, name])
        await tx.query(`INSERT INTO ${schema}.entry VALUES ($1, $2, $3, $4, $5)`, [
          message.id,
          from,
          to,
          amount,
          number,
        ])
      })
    },
  })
  process.send?.({ kind: 'ready' })
} else {
  process.send?.({ kind: 'ready' })
  for (let number = 0; ; number += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, at) => transfer(number + at)))
    // An effect costs a transaction of its own, a publish a part of one: unchecked, the backlog would grow without end.
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

async function transfer(number: number): Promise<void> {
  const from = accounts[number % accounts.length] as string
  const to = accounts[(number * 7 + 3) % accounts.length] as string
  const data = { from, to, amount: 1 + (number % 9), number }
  const { id } = await bus.publish('transfer.requested', data)
  process.send?.({ kind: 'confirmed', id })
}
