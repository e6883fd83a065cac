import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { ClaimResult } from '../../store/store.ts'
import type { StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

/** Long enough that it cannot pass by itself during one trial on a busy machine. */
const longMs = 600_000
/** Short enough to wait for. */
const shortMs = 300

function tokenOf(result: ClaimResult): number {
  if (result.state !== 'claimed') throw new Error(`expected a claim, got ${result.state}`)
  return result.token
}

/** Promises of `claims`. */
export const claimPromises: readonly StorePromise[] = [
  {
    statement: 'gives a key to one claimant and tells the others that it is running',
    async run({ connect }) {
      const { claims } = await connect()
      tokenOf(await claims.claim('s', 'k', longMs))
      strictEqual((await claims.claim('s', 'k', longMs)).state, 'running')
      tokenOf(await claims.claim('s', 'other', longMs))
      tokenOf(await claims.claim('other', 'k', longMs))
    },
  },
  {
    statement: 'remembers a completed key for as long as it was told to, and purges it then',
    async run({ connect, passTime }) {
      const { claims } = await connect()
      const token = tokenOf(await claims.claim('s', 'k', longMs))
      strictEqual(await claims.complete('s', 'k', token, shortMs), true)
      deepStrictEqual(await claims.claim('s', 'k', longMs), { state: 'done' })
      const kept = tokenOf(await claims.claim('s', 'kept', longMs))
      await claims.complete('s', 'kept', kept, longMs)
      strictEqual(await claims.purge(), 0)
      await passTime(shortMs + 1)
      strictEqual(await claims.purge(), 1)
      strictEqual(await claims.purge(), 0)
      deepStrictEqual(await claims.claim('s', 'kept', longMs), { state: 'done' })
      tokenOf(await claims.claim('s', 'k', longMs))
    },
  },
  {
    statement: 'lets a key be claimed anew once the completion is over, purged or not',
    async run({ connect, passTime }) {
      const { claims } = await connect()
      const token = tokenOf(await claims.claim('s', 'k', longMs))
      await claims.complete('s', 'k', token, shortMs)
      await passTime(shortMs + 1)
      tokenOf(await claims.claim('s', 'k', longMs))
    },
  },
  {
    statement: 'lets a released key be claimed at once',
    async run({ connect }) {
      const { claims } = await connect()
      const token = tokenOf(await claims.claim('s', 'k', longMs))
      strictEqual(await claims.release('s', 'k', token), true)
      strictEqual(await claims.release('s', 'k', token), false)
      const next = tokenOf(await claims.claim('s', 'k', longMs))
      strictEqual(await claims.release('s', 'k', token), false)
      ok(next > token)
    },
  },
  {
    statement: 'does not release a completed key',
    async run({ connect }) {
      const { claims } = await connect()
      const token = tokenOf(await claims.claim('s', 'k', longMs))
      await claims.complete('s', 'k', token, longMs)
      strictEqual(await claims.release('s', 'k', token), false)
      deepStrictEqual(await claims.claim('s', 'k', longMs), { state: 'done' })
    },
  },
  {
    statement: 'frees a claim when its lease has passed, and fences off the claimant who was late',
    async run({ connect, passTime }) {
      const { claims } = await connect()
      const late = tokenOf(await claims.claim('s', 'k', shortMs))
      await passTime(shortMs + 1)
      const next = tokenOf(await claims.claim('s', 'k', longMs))
      ok(next > late)
      strictEqual(await claims.complete('s', 'k', late, longMs), false)
      strictEqual(await claims.release('s', 'k', late), false)
      strictEqual((await claims.claim('s', 'k', longMs)).state, 'running')
      strictEqual(await claims.complete('s', 'k', next, longMs), true)
    },
  },
  {
    statement: 'fences off a late claimant even after the key was released, completed and purged',
    async run({ connect, passTime }) {
      const { claims } = await connect()
      const late = tokenOf(await claims.claim('s', 'k', shortMs))
      await passTime(shortMs + 1)
      const second = tokenOf(await claims.claim('s', 'k', longMs))
      await claims.complete('s', 'k', second, 1)
      await passTime(10)
      await claims.purge()
      strictEqual(await claims.complete('s', 'k', late, longMs), false)
      const third = tokenOf(await claims.claim('s', 'k', longMs))
      ok(third > second)
      strictEqual(await claims.complete('s', 'k', late, longMs), false)
    },
  },
  {
    statement: 'purges more than one chunk of completions',
    async run({ connect, passTime }) {
      const { claims } = await connect()
      for (let n = 0; n < 120; n += 1) {
        const token = tokenOf(await claims.claim('s', `k${n}`, longMs))
        await claims.complete('s', `k${n}`, token, 1)
      }
      await passTime(10)
      strictEqual(await claims.purge(), 120)
    },
  },
  {
    statement: 'gives a key to one of many connections that claim it at once',
    unless: needsConnections,
    async run({ connect }) {
      const stores = await Promise.all(Array.from({ length: 6 }, connect))
      const results = await Promise.all(
        stores.flatMap((store) => [
          store.claims.claim('s', 'k', longMs),
          store.claims.claim('s', 'k', longMs),
        ]),
      )
      strictEqual(results.filter((result) => result.state === 'claimed').length, 1)
    },
  },
]
