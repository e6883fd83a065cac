import { defineContract } from '../../src/index.ts'

/**
 * Two banks with a database each, and a broker between them: the first takes money from an account and asks for it to be booked, the second
 * books it and says so, the first marks it as booked. Each step is one transaction of one database. Names are those of one run.
 */
export const banks = (run: string) =>
  defineContract({
    id: `bank.r${run}`,
    version: '1.0.0',
    purpose: 'Moves money between two banks, so that a doubled or lost effect shows in a sum.',
    channels: {
      transfers: { address: `bank.${run}.transfers`, key: 'account', ordering: 'per-key' },
      bookings: { address: `bank.${run}.bookings`, key: 'account', ordering: 'per-key' },
    },
    events: {
      'transfer.requested': {
        channel: 'transfers',
        purpose: 'Sent when money has been taken and shall be booked.',
        schema: {
          type: 'object',
          required: ['account', 'amount', 'number'],
          properties: {
            account: { type: 'string' },
            amount: { type: 'integer', minimum: 1 },
            number: { type: 'integer', minimum: 0 },
          },
        },
      },
      'transfer.booked': {
        channel: 'bookings',
        purpose: 'Sent when money has been booked.',
        schema: {
          type: 'object',
          required: ['account', 'number'],
          properties: { account: { type: 'string' }, number: { type: 'integer', minimum: 0 } },
        },
      },
    },
    producers: {
      sender: { events: ['transfer.requested'] },
      receiver: { events: ['transfer.booked'] },
    },
    consumers: {
      booking: {
        accepts: '^1.0.0',
        events: { 'transfer.requested': { needs: ['account', 'amount', 'number'] } },
        idempotency: { key: 'id', window: '30d' },
        retry: { attempts: 20, base: '50ms', factor: 2, cap: '1s', jitter: 'full' },
      },
      confirming: {
        accepts: '^1.0.0',
        events: { 'transfer.booked': { needs: ['account', 'number'] } },
        idempotency: { key: 'id', window: '30d' },
        retry: { attempts: 20, base: '50ms', factor: 2, cap: '1s', jitter: 'full' },
      },
    },
  })

export const accounts = Array.from({ length: 10 }, (_, at) => `account-${at}`)

/** Tables of one bank in a schema of its own. No column of `entry` is unique: an effect that ran twice leaves two rows. */
export const bankTables = (schema: string) => `
  CREATE SCHEMA IF NOT EXISTS ${schema};
  CREATE TABLE ${schema}.account (name text PRIMARY KEY, balance integer NOT NULL);
  CREATE TABLE ${schema}.entry (kind text NOT NULL, account text NOT NULL, amount integer NOT NULL,
    number integer NOT NULL, at bigint GENERATED ALWAYS AS IDENTITY)`

export interface Sql {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}
