import { defineContract } from '../../src/index.ts'
import type { TransactionHandle } from '../../src/messaging/index.ts'

/** Transfers between accounts: money may neither appear nor vanish, whatever is killed when. */
export const bank = defineContract({
  id: 'bank.transfers',
  version: '1.0.0',
  purpose: 'Asks for transfers between accounts, so that a doubled or lost effect shows in a sum.',
  channels: {
    transfers: { address: 'bank.transfers', key: 'from', ordering: 'per-key' },
  },
  events: {
    'transfer.requested': {
      channel: 'transfers',
      purpose: 'Sent when money shall move.',
      schema: {
        type: 'object',
        required: ['from', 'to', 'amount', 'number'],
        properties: {
          from: { type: 'string' },
          to: { type: 'string' },
          amount: { type: 'integer', minimum: 1 },
          number: { type: 'integer', minimum: 0 },
        },
      },
    },
  },
  producers: { teller: {} },
  consumers: {
    ledger: {
      accepts: '^1.0.0',
      events: { 'transfer.requested': { needs: ['from', 'to', 'amount'] } },
      idempotency: { key: 'id', window: '30d' },
      retry: { attempts: 5, base: '50ms', factor: 2, cap: '1s', jitter: 'full' },
    },
  },
})

export const accounts = Array.from({ length: 10 }, (_, at) => `account-${at}`)

/** No column is unique: an effect that ran twice leaves two rows. */
export const bankTables = `
  CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, balance INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS entry (message_id TEXT NOT NULL, source TEXT, target TEXT, amount INTEGER, number INTEGER);
`

export interface Transfer {
  readonly from: string
  readonly to: string
  readonly amount: number
  readonly number: number
}

interface Sql {
  prepare(sql: string): { run(...values: (string | number)[]): unknown }
}

/** The effect of one transfer, inside the acknowledgement's transaction. */
export function book(handle: TransactionHandle, id: string, transfer: Transfer): void {
  const tx = handle as Sql
  const move = tx.prepare('UPDATE account SET balance = balance + ? WHERE name = ?')
  move.run(-transfer.amount, transfer.from)
  move.run(transfer.amount, transfer.to)
  tx.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?)').run(
    id,
    transfer.from,
    transfer.to,
    transfer.amount,
    transfer.number,
  )
}
