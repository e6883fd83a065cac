import { Client } from 'pg'
import { openBus } from '../../src/index.ts'
import { accounts, banks, type Sql } from './bank-broker.ts'

// A process of one of two banks, to be killed: `node bank-broker-child.ts ROLE RUN BROKER-URL OWN-URL OWN-SCHEMA FIRST-NUMBER`.
const [, , role = '', run = '', broker = '', url = '', schema = '', first = '0'] = process.argv
const bus = await openBus({
  contracts: [banks(run)],
  transport: broker,
  service: role === 'booking' ? 'receiver' : 'sender',
  outbox: { url },
  inbox: { url },
  leaseMs: 2000,
})
bus.onError((error) => process.send?.({ kind: 'problem', code: error.code, text: error.message }))

if (role === 'booking') await book()
else if (role === 'confirming') await confirm()
else await send()

/** The second bank: the credit, its inbox row and the answer are one transaction. */
async function book(): Promise<void> {
  let seen = 0
  await bus.consume('booking', {
    'transfer.requested': async (message, context) => {
      seen += 1
      if (seen % 17 === 0 && context.attempt === 1) throw new Error('the bank was busy')
      const { account, amount, number } = message.data
      context.commit(async (handle) => {
        const tx = handle as Sql
        await tx.query(`UPDATE ${schema}.account SET balance = balance + $1 WHERE name = $2`, [
          amount,
          account,
        ])
        await tx.query(
          `INSERT INTO ${schema}.entry (kind, account, amount, number) VALUES ('booked', $1, $2, $3)`,
          [account, amount, number],
        )
        await bus.outbox(tx).publish('transfer.booked', { account, number })
      })
    },
  })
  process.send?.({ kind: 'ready' })
}

async function confirm(): Promise<void> {
  await bus.consume('confirming', {
    'transfer.booked': (message, context) => {
      const { account, number } = message.data
      context.commit(async (handle) => {
        await (handle as Sql).query(
          `INSERT INTO ${schema}.entry (kind, account, amount, number) VALUES ('confirmed', $1, 0, $2)`,
          [account, number],
        )
      })
    },
  })
  process.send?.({ kind: 'ready' })
}

/** The first bank: the debit and the request are one transaction; every fifth is rolled back. */
async function send(): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  process.send?.({ kind: 'ready' })
  for (let number = Number(first); ; number += 1) {
    const account = accounts[number % accounts.length] as string
    const amount = 1 + (number % 9)
    await client.query('BEGIN')
    await client.query(`UPDATE ${schema}.account SET balance = balance - $1 WHERE name = $2`, [
      amount,
      account,
    ])
    await client.query(
      `INSERT INTO ${schema}.entry (kind, account, amount, number) VALUES ('sent', $1, $2, $3)`,
      [account, amount, number],
    )
    await bus.outbox(client).publish('transfer.requested', { account, amount, number })
    await client.query(number % 5 === 4 ? 'ROLLBACK' : 'COMMIT')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
