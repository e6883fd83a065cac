import { ok, strictEqual } from 'node:assert/strict'
import type { Lock } from '../../store/store.ts'
import type { StorePromise } from './promise.ts'
import { needsConnections } from './promise.ts'

const longMs = 600_000
const shortMs = 300

function held(lock: Lock | undefined): Lock {
  if (lock === undefined) throw new Error('expected to get the lock')
  return lock
}

/** Promises of `locks`. */
export const lockPromises: readonly StorePromise[] = [
  {
    statement: 'gives a lock to one holder until it is released',
    async run({ connect }) {
      const { locks } = await connect()
      const lock = held(await locks.acquire('l', 'ada', longMs))
      strictEqual(lock.name, 'l')
      strictEqual(await locks.acquire('l', 'bob', longMs), undefined)
      strictEqual(await locks.acquire('l', 'ada', longMs), undefined)
      held(await locks.acquire('m', 'bob', longMs))
      strictEqual(await locks.release(lock), true)
      strictEqual(await locks.release(lock), false)
      held(await locks.acquire('l', 'bob', longMs))
    },
  },
  {
    statement: 'frees a lock when its lease has passed, with a greater fence for the next holder',
    async run({ connect, passTime }) {
      const { locks } = await connect()
      const late = held(await locks.acquire('l', 'ada', shortMs))
      await passTime(shortMs + 1)
      const next = held(await locks.acquire('l', 'bob', longMs))
      ok(next.fence > late.fence)
      strictEqual(await locks.renew(late, longMs), false)
      strictEqual(await locks.release(late), false)
      strictEqual(await locks.acquire('l', 'eve', longMs), undefined)
      strictEqual(await locks.release(next), true)
      const last = held(await locks.acquire('l', 'eve', longMs))
      ok(last.fence > next.fence)
    },
  },
  {
    statement: 'keeps a lock that is renewed in time, and renews none that was released',
    async run({ connect, passTime }) {
      const { locks } = await connect()
      const lock = held(await locks.acquire('l', 'ada', shortMs))
      strictEqual(await locks.renew(lock, longMs), true)
      await passTime(shortMs + 1)
      strictEqual(await locks.acquire('l', 'bob', longMs), undefined)
      strictEqual(await locks.release(lock), true)
      strictEqual(await locks.renew(lock, longMs), false)
    },
  },
  {
    statement: 'gives a lock to one of many connections that want it at once',
    unless: needsConnections,
    async run({ connect }) {
      const stores = await Promise.all(Array.from({ length: 6 }, connect))
      const results = await Promise.all(
        stores.map((store, n) => store.locks.acquire('l', `holder ${n}`, longMs)),
      )
      strictEqual(results.filter((lock) => lock !== undefined).length, 1)
    },
  },
]
