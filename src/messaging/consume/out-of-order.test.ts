import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Message } from '../../contracts/index.ts'
import { openStore } from '../../store/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import type { Handler, HandlerContext, Outcome } from '../types.ts'
import { inSequence, latestOnly } from './out-of-order.ts'

interface Change {
  readonly account: string
  readonly number: number
  readonly value: number
}

const context = { release: (): Outcome => ({ outcome: 'release' }) } as unknown as HandlerContext
const message = (data: Change): Message<Change> => ({
  id: `${data.account}-${data.number}`,
  type: 'account.changed',
  source: 'bank',
  timestamp: new Date(Date.UTC(2026, 0, 1) + data.number).toISOString(),
  correlation_id: 'c',
  data,
})

/** Messages of some accounts, each numbered from 1. */
const history = fc
  .array(fc.array(fc.integer(), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 })
  .map((accounts) =>
    accounts.flatMap((values, account) =>
      values.map((value, at) => ({ account: `a${account}`, number: at + 1, value })),
    ),
  )
/** The same messages in any order, some of them more than once. */
const scrambled = history.chain((changes) =>
  fc.tuple(
    fc.constant(changes),
    fc.array(fc.nat(changes.length - 1), { maxLength: 6 }).chain((again) =>
      fc.shuffledSubarray([...changes, ...again.map((at) => changes[at] as Change)], {
        minLength: changes.length + again.length,
      }),
    ),
  ),
)

async function deliver(handler: Handler<Change>, changes: readonly Change[], atOnce: boolean) {
  const run = (change: Change) => Promise.resolve(handler(message(change), context))
  if (atOnce) await Promise.all(changes.map(run))
  else for (const change of changes) await run(change)
}

describe('order-independent consumers', () => {
  it('inSequence hands on every change of a key once and in order, whatever the permutation', async () => {
    await fc.assert(
      fc.asyncProperty(scrambled, fc.boolean(), async ([changes, order], atOnce) => {
        const store = await openStore('memory:')
        const seen = new Map<string, number[]>()
        const handler = inSequence<Change>(
          {
            store,
            name: 'ledger',
            key: ({ data }) => data.account,
            sequence: ({ data }) => data.number,
          },
          ({ data }) => {
            seen.set(data.account, [...(seen.get(data.account) ?? []), data.value])
          },
        )

        await deliver(handler, order, atOnce)

        const expected = Map.groupBy(changes, ({ account }) => account)
        for (const [account, list] of expected) {
          expect(seen.get(account)).toEqual(list.map(({ value }) => value))
        }
        await store.close()
      }),
      { numRuns: 60 },
    )
  })

  it.each([
    ['a number', ({ data }: Message<Change>) => data.number],
    ['a timestamp', ({ timestamp }: Message<Change>) => timestamp],
  ])(
    'latestOnly ends with the newest state by %s, whatever the permutation',
    async (_, version) => {
      await fc.assert(
        fc.asyncProperty(scrambled, fc.boolean(), async ([changes, order], atOnce) => {
          const store = await openStore('memory:')
          const state = new Map<string, number>()
          const handler = latestOnly<Change>(
            { store, name: 'view', key: ({ data }) => data.account, version },
            ({ data }) => void state.set(data.account, data.value),
          )

          await deliver(handler, order, atOnce)

          for (const [account, list] of Map.groupBy(changes, (change) => change.account)) {
            expect(state.get(account)).toBe(list.at(-1)?.value)
          }
          await store.close()
        }),
        { numRuns: 40 },
      )
    },
  )

  it('goes on after a crash of its process where the store says', async () => {
    const store = await openStore('memory:')
    const seen: number[] = []
    const start = () =>
      inSequence<Change>(
        { store, name: 'ledger', key: () => 'k', sequence: ({ data }) => data.number },
        ({ data }) => void seen.push(data.number),
      )
    const change = (number: number) => ({ account: 'a', number, value: 0 })
    await deliver(start(), [change(3), change(1)], false)

    await deliver(start(), [change(1), change(4), change(2)], false)

    expect(seen).toEqual([1, 2, 3, 4])
    await store.close()
  })

  it('does not move past a message whose handler fails', async () => {
    const store = await openStore('memory:')
    const seen: number[] = []
    let broken = true
    const handler = inSequence<Change>(
      { store, name: 'ledger', key: () => 'k', sequence: ({ data }) => data.number },
      ({ data }) => {
        if (broken && data.number === 2) throw new Error('no')
        seen.push(data.number)
      },
    )
    const change = (number: number) => message({ account: 'a', number, value: 0 })
    await handler(change(2), context)
    await expect(handler(change(1), context)).rejects.toThrow('no')
    broken = false

    await handler(change(1), context)

    expect(seen).toEqual([1, 2])
    await store.close()
  })

  it('gives a message back when another process keeps its key for longer than a lease', async () => {
    const clock = fakeClock()
    const store = await openStore('memory:')
    const held = { ...store.locks, acquire: async () => undefined }
    const handler = latestOnly<Change>(
      {
        store: { ...store, records: store.records, locks: held },
        name: 'view',
        key: () => 'k',
        version: () => 1,
        clock,
      },
      () => expect.unreachable(),
    )
    const outcome = handler(message({ account: 'a', number: 1, value: 0 }), context)

    await clock.advance(31_000)

    expect(await outcome).toEqual({ outcome: 'release' })
    await store.close()
  })
})
