import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import type { Store } from '../../store/store.ts'
import type { StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

const hard = {
  nothing: null,
  text: 'é 🙂 \u2028 \ud800 "quoted" \\ \0',
  large: 9_007_199_254_740_991,
  tiny: 5e-324,
  nested: [{ a: [[], {}] }],
  __proto__name: { constructor: 'x' },
}

async function keysOf(store: Store, options: { prefix?: string; after?: string; limit: number }) {
  return (await store.records.list('c', options)).map((record) => record.key)
}

/** Promises of `records`. */
export const recordPromises: readonly StorePromise[] = [
  {
    statement: 'gives back a record exactly as it was put, whatever JSON it is',
    async run({ connect }) {
      const { records } = await connect()
      strictEqual(await records.get('c', 'k'), undefined)
      const values = [null, false, 0, '', [], {}, hard, JSON.parse('{"__proto__": {"x": 1}}')]
      for (const [index, value] of values.entries()) {
        deepStrictEqual(await records.put('c', 'k', value), {
          key: 'k',
          value,
          revision: index + 1,
        })
        deepStrictEqual(await records.get('c', 'k'), { key: 'k', value, revision: index + 1 })
      }
      const large = 'x'.repeat(2_000_000)
      await records.put('c', 'large', large)
      strictEqual((await records.get('c', 'large'))?.value, large)
    },
  },
  {
    statement: 'writes a record only at the revision that is expected, and 0 means absent',
    async run({ connect }) {
      const { records } = await connect()
      strictEqual(await records.put('c', 'k', 1, { expect: 1 }), undefined)
      strictEqual((await records.put('c', 'k', 1, { expect: 0 }))?.revision, 1)
      strictEqual(await records.put('c', 'k', 2, { expect: 0 }), undefined)
      strictEqual((await records.put('c', 'k', 2, { expect: 1 }))?.revision, 2)
      strictEqual(await records.put('c', 'k', 3, { expect: 1 }), undefined)
      deepStrictEqual(await records.get('c', 'k'), { key: 'k', value: 2, revision: 2 })
    },
  },
  {
    statement: 'deletes a record once, and only at the revision that is expected',
    async run({ connect }) {
      const { records } = await connect()
      strictEqual(await records.delete('c', 'k'), false)
      await records.put('c', 'k', 1)
      strictEqual(await records.delete('c', 'k', { expect: 2 }), false)
      strictEqual(await records.delete('c', 'k', { expect: 1 }), true)
      strictEqual(await records.delete('c', 'k'), false)
      strictEqual(await records.get('c', 'k'), undefined)
      strictEqual((await records.put('c', 'k', 1, { expect: 0 }))?.revision, 1)
    },
  },
  {
    statement: 'lists records in the order of code points, by prefix and page by page',
    async run({ connect }) {
      const { records } = await connect()
      const keys = ['A', 'a', 'a%', 'a/1', 'a/10', 'a/2', 'a_', 'ab', 'ß', '\uffff', '😀']
      for (const key of keys.toReversed()) await records.put('c', key, key)
      await records.put('other', 'a/3', 1)
      deepStrictEqual(await keysOf({ records } as Store, { limit: 100 }), keys)
      const store = { records } as Store
      deepStrictEqual(await keysOf(store, { prefix: 'a/', limit: 100 }), ['a/1', 'a/10', 'a/2'])
      deepStrictEqual(await keysOf(store, { prefix: 'a%', limit: 100 }), ['a%'])
      deepStrictEqual(await keysOf(store, { prefix: 'a_', limit: 100 }), ['a_'])
      deepStrictEqual(await keysOf(store, { prefix: 'a', after: 'a/2', limit: 1 }), ['a_'])
      deepStrictEqual(await keysOf(store, { after: '\uffff', limit: 9 }), ['😀'])
      deepStrictEqual(await keysOf(store, { prefix: 'z', limit: 9 }), [])
      deepStrictEqual(await keysOf(store, { limit: 0 }), [])
    },
  },
  {
    statement: 'keeps collections apart',
    async run({ connect }) {
      const { records } = await connect()
      await records.put('a', 'k', 1)
      await records.put('b', 'k', 2)
      await records.delete('a', 'k')
      strictEqual((await records.get('b', 'k'))?.value, 2)
    },
  },
  {
    statement: 'refuses names that not every database can keep apart',
    async run({ connect }) {
      const { records, counters } = await connect()
      const refused = { code: 'STORE_KEY_INVALID' }
      for (const key of ['', 'a\0b', '\ud800', 'x'.repeat(513)]) {
        await rejects(records.put('c', key, 1), refused)
        await rejects(records.get(key, 'k'), refused)
        await rejects(counters.add({ [key]: 1 }), refused)
      }
      await records.put('c', '🙂'.repeat(512), 1)
    },
  },
  {
    statement: 'lets one of many connections win a record that all expect absent',
    unless: needsConnections,
    async run({ connect }) {
      const stores = await Promise.all(Array.from({ length: 5 }, connect))
      const puts = stores.flatMap((store, n) =>
        Array.from({ length: 4 }, (_, m) => store.records.put('c', 'k', n * 10 + m, { expect: 0 })),
      )
      const winners = (await Promise.all(puts)).filter((record) => record !== undefined)
      strictEqual(winners.length, 1)
      deepStrictEqual(await stores[0]?.records.get('c', 'k'), winners[0])
    },
  },
]
