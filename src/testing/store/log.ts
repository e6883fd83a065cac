import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

/** Promises of `log`. */
export const logPromises: readonly StorePromise[] = [
  {
    statement: 'appends to a stream without gaps, from position 1, and says where',
    async run({ connect }) {
      const { log } = await connect()
      strictEqual(await log.length('s'), 0)
      deepStrictEqual(await log.read('s', { limit: 10 }), [])
      strictEqual(await log.append('s', ['a', 'b']), 1)
      strictEqual(await log.append('s', []), 3)
      strictEqual(await log.append('s', [{ c: null }]), 3)
      strictEqual(await log.length('s'), 3)
      const entries = await log.read('s', { limit: 10 })
      deepStrictEqual(
        entries.map(({ position, value }) => [position, value]),
        [
          [1, 'a'],
          [2, 'b'],
          [3, { c: null }],
        ],
      )
      strictEqual(await log.length('other'), 0)
    },
  },
  {
    statement: 'reads a stream page by page',
    async run({ connect }) {
      const { log } = await connect()
      await log.append(
        's',
        Array.from({ length: 25 }, (_, n) => n),
      )
      const seen: unknown[] = []
      for (let after = 0; ; ) {
        const page = await log.read('s', { after, limit: 10 })
        if (page.length === 0) break
        ok(page.length <= 10)
        seen.push(...page.map((entry) => entry.value))
        after = page.at(-1)?.position ?? after
      }
      deepStrictEqual(
        seen,
        Array.from({ length: 25 }, (_, n) => n),
      )
      deepStrictEqual(await log.read('s', { limit: 0 }), [])
    },
  },
  {
    statement:
      'stamps entries with the time of the append, which does not run backwards in a stream',
    async run({ connect, passTime }) {
      const { log } = await connect()
      await log.append('s', [1])
      await passTime(50)
      await log.append('s', [2, 3])
      const [first, second, third] = await log.read('s', { limit: 3 })
      ok(Number.isInteger(first?.at))
      ok((second?.at ?? 0) - (first?.at ?? 0) >= 49)
      strictEqual(second?.at, third?.at)
    },
  },
  {
    statement: 'appends only at the length that is expected, all or nothing',
    async run({ connect }) {
      const { log } = await connect()
      strictEqual(await log.append('s', [1, 2], { expect: 1 }), undefined)
      strictEqual(await log.length('s'), 0)
      strictEqual(await log.append('s', [1, 2], { expect: 0 }), 1)
      strictEqual(await log.append('s', [3], { expect: 0 }), undefined)
      strictEqual(await log.append('s', [3], { expect: 2 }), 3)
    },
  },
  {
    statement: 'keeps appends of many connections whole and gapless',
    unless: needsConnections,
    async run({ connect }) {
      const stores = await Promise.all(Array.from({ length: 4 }, connect))
      const appends = stores.flatMap((store, writer) =>
        Array.from({ length: 10 }, (_, batch) =>
          store.log.append(
            's',
            [0, 1, 2].map((part) => ({ writer, batch, part })),
          ),
        ),
      )
      const starts = await Promise.all(appends)
      strictEqual(new Set(starts).size, 40)
      const entries = (await stores[0]?.log.read('s', { limit: 1000 })) ?? []
      deepStrictEqual(
        entries.map((entry) => entry.position),
        Array.from({ length: 120 }, (_, n) => n + 1),
      )
      for (const start of starts) {
        const parts = entries.slice((start ?? 0) - 1, (start ?? 0) + 2)
        deepStrictEqual(
          parts.map((entry) => (entry.value as { part: number }).part),
          [0, 1, 2],
        )
      }
    },
  },
]
