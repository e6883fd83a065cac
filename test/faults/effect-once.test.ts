import { describe, expect, it } from 'vitest'
import type { Transport } from '../../src/index.ts'
import { openTransport } from '../../src/index.ts'
import type { TestBus } from '../../src/testing/index.ts'
import { createTestBus, faultTransport } from '../../src/testing/index.ts'
import { accounts, bank, bankTables, book } from './bank.ts'

interface Sql {
  exec(sql: string): void
  prepare(sql: string): {
    run(...values: (string | number)[]): unknown
    all(): Record<string, unknown>[]
  }
}

/** The bank's tables live in the broker's own database, which only an effect can reach. */
function bankBooks() {
  let database: Sql | undefined
  return {
    book(tx: unknown, id: string, transfer: Parameters<typeof book>[2]) {
      if (!database) {
        database = tx as Sql
        database.exec(bankTables)
        const add = database.prepare('INSERT INTO account VALUES (?, 1000)')
        for (const name of accounts) add.run(name)
      }
      book(tx, id, transfer)
    },
    entries: () => database?.prepare('SELECT message_id AS id FROM entry').all() ?? [],
    sum: () => database?.prepare('SELECT sum(balance) AS sum FROM account').all()[0]?.sum,
  }
}

async function consumeInto(bus: TestBus, books: ReturnType<typeof bankBooks>): Promise<void> {
  let seen = 0
  await bus.consume('ledger', {
    'transfer.requested': async (message, context) => {
      seen += 1
      if (seen % 11 === 0) throw new Error('the ledger was busy')
      if (seen % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
      context.commit((tx) => books.book(tx, message.id, message.data as never))
    },
  })
}

const transfer = (number: number) => ({
  from: accounts[number % 10] as string,
  to: accounts[(number + 3) % 10] as string,
  amount: 1 + (number % 7),
  number,
})

describe('an effect in context.commit', () => {
  it.each([1, 2, 3])(
    'runs once through duplicates and lost acknowledgements (seed %i)',
    async (seed) => {
      const transport: Transport = faultTransport(await openTransport('memory:'), {
        seed,
        dropAck: 0.25,
        duplicate: 0.25,
        reorder: 0.3,
      })
      const bus = await createTestBus([bank], { transport, seed })
      const books = bankBooks()
      await consumeInto(bus as unknown as TestBus, books)

      const ids: string[] = []
      for (let number = 0; number < 200; number += 1) {
        ids.push((await bus.publish('transfer.requested', transfer(number))).id)
      }
      await bus.settled({ realMs: 20_000 })

      expect(
        books
          .entries()
          .map((row) => row.id)
          .sort(),
      ).toEqual([...ids].sort())
      expect(books.sum()).toBe(10_000)
      expect(await bus.deadLetters()).toEqual([])
      await bus.close({ drainMs: 0 })
    },
  )

  it('runs once for one id that is sent many times, at once and later', async () => {
    const bus = await createTestBus([bank])
    const books = bankBooks()
    await consumeInto(bus as unknown as TestBus, books)
    await bus.publish('transfer.requested', transfer(1))
    const [record] = bus.records('transfer.requested')
    if (!record) throw new Error('the transfer was published')
    // Without its key the broker hands several out at once, as different partitions would.
    const { dedupWindowMs: _window, key: _key, ...again } = record

    await Promise.all(Array.from({ length: 30 }, () => bus.transport.publish([again])))
    await bus.settled()
    await bus.transport.publish([again])
    await bus.settled()

    const { handled, skipped, deliveries } = await bus.stats()
    expect(books.entries()).toHaveLength(1)
    expect(deliveries).toBe(32)
    expect(handled).toBe(1)
    expect(skipped).toBe(31)
    await bus.close({ drainMs: 0 })
  })
})
