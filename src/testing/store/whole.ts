import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import type { StoreFacts, StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

function needsBackup(facts: StoreFacts): string | undefined {
  return facts.store.openBackup ? undefined : 'open() gives no openBackup, so none can be read'
}

/** Promises of the store as a whole. */
export const wholePromises: readonly StorePromise[] = [
  {
    statement: 'shows every connection what another has written',
    unless: needsConnections,
    async run({ connect }) {
      const [first, second] = [await connect(), await connect()]
      await first.records.put('c', 'k', 1)
      strictEqual((await second.records.get('c', 'k'))?.value, 1)
      await second.log.append('s', [1])
      strictEqual(await first.log.length('s'), 1)
      await first.counters.add({ n: 1 })
      deepStrictEqual(await second.counters.read('n'), { n: 1 })
      const claim = await first.claims.claim('s', 'k', 600_000)
      strictEqual(claim.state, 'claimed')
      strictEqual((await second.claims.claim('s', 'k', 600_000)).state, 'running')
    },
  },
  {
    statement: 'keeps everything over a restart, tokens and fences too',
    unless: needsConnections,
    async run({ connect }) {
      const keeper = await connect()
      const before = await connect()
      await before.records.put('c', 'k', { a: 1 })
      await before.log.append('s', [1, 2])
      await before.counters.add({ n: 2 })
      const claim = await before.claims.claim('s', 'k', 600_000)
      const lock = await before.locks.acquire('l', 'ada', 600_000)
      if (keeper.kind !== 'memory') await keeper.close()
      await before.close()
      const after = await connect()
      deepStrictEqual(await after.records.get('c', 'k'), { key: 'k', value: { a: 1 }, revision: 1 })
      strictEqual(await after.log.append('s', [3]), 3)
      deepStrictEqual(await after.counters.read(''), { n: 2 })
      strictEqual((await after.claims.claim('s', 'k', 600_000)).state, 'running')
      ok(claim.state === 'claimed' && lock !== undefined)
      strictEqual(await after.claims.complete('s', 'k', claim.token, 600_000), true)
      strictEqual(await after.locks.release(lock), true)
      const again = await after.locks.acquire('l', 'bob', 600_000)
      ok((again?.fence ?? 0) > lock.fence)
    },
  },
  {
    statement: 'copies a consistent snapshot while it is written to',
    unless: needsBackup,
    async run({ connect, store, file }) {
      const writer = await connect()
      const target = file('backup.db')
      // Two streams that are written in turn differ by one entry at most in every snapshot.
      let isCopying = true
      const writing = (async () => {
        for (let n = 0; isCopying || n < 20; n += 1) {
          await writer.log.append('left', [{ n, padding: 'x'.repeat(1000) }])
          await writer.log.append('right', [n])
          // An embedded store answers in microtasks alone, which would leave the copy no turn.
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      await writer.backup(target)
      isCopying = false
      await writing
      const copy = await store.openBackup?.(target)
      ok(copy)
      const [left, right] = [await copy.log.length('left'), await copy.log.length('right')]
      ok(left - right === 0 || left - right === 1, `${left} and ${right}`)
      ok(left <= (await writer.log.length('left')))
      await copy.records.put('c', 'k', 'only in the copy')
      await copy.close()
      strictEqual(await writer.records.get('c', 'k'), undefined)
    },
  },
  {
    statement: 'replaces an older backup, and refuses a place where none can be',
    unless: needsBackup,
    async run({ connect, store, file }) {
      const origin = await connect()
      await origin.records.put('c', 'k', 1)
      await origin.backup(file('backup.db'))
      await origin.records.put('c', 'k', 2)
      await origin.backup(file('backup.db'))
      const copy = await store.openBackup?.(file('backup.db'))
      strictEqual((await copy?.records.get('c', 'k'))?.value, 2)
      await copy?.close()
      await rejects(origin.backup(file('backup.db/below/a/file')), { code: 'STORE_UNAVAILABLE' })
    },
  },
  {
    statement: 'refuses data that a newer Treaty wrote, in a sentence with both versions',
    unless: (facts) =>
      facts.store.makeNewer ? undefined : 'open() gives no makeNewer, so no newer data can be made',
    async run({ connect, store }) {
      const before = await connect()
      await before.close()
      await store.makeNewer?.()
      await rejects(connect(), (error: Error & { code?: string }) => {
        strictEqual(error.code, 'STORE_TOO_NEW')
        // Both versions, at least: the name of the place may hold digits of its own.
        ok((error.message.match(/\d+/g)?.length ?? 0) >= 2, error.message)
        return true
      })
    },
  },
  {
    statement: 'closes twice, and says so to whoever uses it afterwards',
    async run({ connect }) {
      const closed = await connect()
      await Promise.all([closed.close(), closed.close()])
      await rejects(closed.records.get('c', 'k'), { code: 'STORE_UNAVAILABLE' })
      await rejects(closed.log.append('s', [1]), { code: 'STORE_UNAVAILABLE' })
    },
  },
]
