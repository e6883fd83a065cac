import { deepStrictEqual } from 'node:assert/strict'
import type { StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

/** Promises of `counters`. */
export const counterPromises: readonly StorePromise[] = [
  {
    statement: 'adds to counters and reads them by prefix',
    async run({ connect }) {
      const { counters } = await connect()
      deepStrictEqual(await counters.read(''), {})
      await counters.add({})
      await counters.add({ 'a.x': 1, 'a.y': 2, b: 3, a_x: 9, ['__proto__']: 5 })
      await counters.add({ 'a.x': 10 })
      deepStrictEqual(await counters.read('a.'), { 'a.x': 11, 'a.y': 2 })
      deepStrictEqual(Object.keys(await counters.read('__')), ['__proto__'])
      deepStrictEqual(Object.values(await counters.read('')).toSorted(), [11, 2, 3, 5, 9])
    },
  },
  {
    statement: 'counts large numbers without losing one',
    async run({ connect }) {
      const { counters } = await connect()
      await counters.add({ n: 9_007_199_254_740_000 })
      await counters.add({ n: 991 })
      deepStrictEqual(await counters.read('n'), { n: 9_007_199_254_740_991 })
    },
  },
  {
    statement: 'loses no increment of many connections',
    unless: needsConnections,
    async run({ connect }) {
      const stores = await Promise.all(Array.from({ length: 5 }, connect))
      await Promise.all(
        stores.flatMap((store) =>
          Array.from({ length: 10 }, () => store.counters.add({ shared: 1, sum: 3 })),
        ),
      )
      deepStrictEqual(await stores[0]?.counters.read('s'), { shared: 50, sum: 150 })
    },
  },
]
