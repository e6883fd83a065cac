import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCaptured } from '../../src/cli/captured-run.ts'
import type { TreatyError } from '../../src/core/errors.ts'
import { openPostgresStore, openStore, type Store } from '../../src/store/index.ts'
import { faultProxy } from '../../src/testing/index.ts'
import { freshSchema, onPostgres } from './postgres-place.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

/** What only a server that is killed, cut off or refuses can show. */

async function refusal(opening: Promise<Store>): Promise<TreatyError> {
  const opened = await opening.catch((error: TreatyError) => error)
  if ('records' in opened) {
    await opened.close()
    throw new Error('it was opened')
  }
  return opened
}

await withService('postgres', (server) => {
  describe('the store when its server is killed', () => {
    let own: OwnService
    beforeAll(async () => {
      own = await startOwnService('postgres')
    })
    afterAll(() => own.dispose())

    it('keeps what was acknowledged, says what is unknown, and goes on by itself', async () => {
      const store = await openStore(own.url)
      const acknowledged = new Set<number>()
      const unknown = new Set<number>()
      let isRunning = true
      const writer = async (offset: number) => {
        for (let n = offset; isRunning; n += 4) {
          try {
            await store.log.append('s', [n])
            acknowledged.add(n)
          } catch (error) {
            expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
            if ((error as TreatyError).details.outcome === 'unknown') unknown.add(n)
          }
        }
      }
      const writers = [0, 1, 2, 3].map(writer)
      for (let round = 1; round <= 3; round += 1) {
        const before = acknowledged.size
        while (acknowledged.size < before + 50) await sleep(5)
        own.kill()
        await own.start()
      }
      const after = acknowledged.size
      while (acknowledged.size < after + 50) await sleep(5)
      isRunning = false
      await Promise.all(writers)

      const entries = await store.log.read('s', { limit: 1_000_000 })
      const kept = entries.map((entry) => Number(entry.value))
      expect(new Set(kept).size).toBe(kept.length)
      expect([...acknowledged].filter((n) => !kept.includes(n))).toEqual([])
      expect(kept.filter((n) => !acknowledged.has(n) && !unknown.has(n))).toEqual([])
      expect(entries.map((entry) => entry.position)).toEqual(kept.map((_, index) => index + 1))
      await store.close()
    })

    it('waits with a call for a server that comes back in time', async () => {
      const store = await openPostgresStore(own.url, { waitMs: 60_000 })
      await store.records.put('c', 'k', 1)
      own.kill()
      const [read, written] = [store.records.get('c', 'k'), store.records.put('c', 'other', 2)]
      await own.start()

      expect((await read)?.value).toBe(1)
      // Sent before the connection broke, or after: then it has been written.
      await written.catch((error: TreatyError) => expect(error.details.outcome).toBe('unknown'))
      await store.close()
    })

    it('lets tokens grow over a crash of the server', async () => {
      const store = await openStore(own.url)
      const before = await store.locks.acquire('over a crash', 'ada', 1)
      own.kill()
      await own.start()
      const after = await store.locks.acquire('over a crash', 'bob', 60_000)

      expect(after?.fence).toBeGreaterThan(before?.fence ?? Number.NaN)
      await store.close()
    })
  })

  describe('the store when the network fails', () => {
    it('gives a statement up when nothing comes back, and goes on when the network does', async () => {
      const place = freshSchema(server)
      const target = new URL(place.url)
      const proxy = await faultProxy({ host: target.hostname, port: Number(target.port) })
      target.port = String(proxy.port)
      const store = await openPostgresStore(target.href, { statementMs: 300, waitMs: 500 })
      await store.records.put('c', 'k', 1)

      proxy.freeze()
      await expect(store.records.put('c', 'k', 2)).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        details: { outcome: 'unknown' },
      })
      proxy.thaw()
      proxy.cut()
      expect([1, 2]).toContain((await store.records.get('c', 'k'))?.value)
      await store.records.put('c', 'k', 3)
      expect((await store.records.get('c', 'k'))?.value).toBe(3)

      await store.close()
      await proxy.close()
      await place.drop()
    })
  })

  describe('the store says what is wrong with', () => {
    const changed = (change: (url: URL) => void) => {
      const url = new URL(server)
      change(url)
      return openStore(url.href)
    }

    it('a host that nobody knows, without trying again', async () => {
      const error = await refusal(changed((url) => (url.hostname = 'nowhere.invalid')))
      expect(error.message).toContain('nowhere.invalid')
      expect(error.code).toBe('STORE_UNAVAILABLE')
      expect(error.hint).toMatch(/host/)
    })

    it('a port at which nobody listens', async () => {
      const error = await refusal(changed((url) => (url.port = '9')))
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', details: { state: 'ECONNREFUSED' } })
    })

    it('a database that is not there', async () => {
      const error = await refusal(changed((url) => (url.pathname = '/nothing_of_the_kind')))
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', details: { state: '3D000' } })
      expect(error.hint).toMatch(/[Cc]reate/)
    })

    it('TLS that the server has not', async () => {
      const error = await refusal(changed((url) => url.searchParams.set('sslmode', 'verify-full')))
      expect(error.code).toBe('STORE_TLS_FAILED')
    })

    it('a user who is unknown, and one who may not make tables', async () => {
      const unknown = await refusal(changed((url) => (url.username = 'nobody_of_the_kind')))
      expect(unknown.code).toBe('STORE_ACCESS_DENIED')

      const place = freshSchema(server)
      const role = place.schema
      await onPostgres(server, (client) => client.query(`CREATE ROLE ${role} LOGIN`))
      const url = new URL(place.url)
      url.username = role
      const powerless = await refusal(openStore(url.href))
      await onPostgres(server, (client) => client.query(`DROP ROLE ${role}`))
      expect(powerless.code).toBe('STORE_ACCESS_DENIED')
    })

    it('a session that is read-only, as on a replica', async () => {
      const place = freshSchema(server)
      const url = new URL(place.url)
      url.searchParams.set('options', '-c default_transaction_read_only=on')
      const error = await refusal(openStore(url.href))
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', details: { state: '25006' } })
      expect(error.hint).toMatch(/primary/)
    })

    it('tables that are missing where they may only be looked at', async () => {
      const place = freshSchema(server)
      const error = await refusal(openPostgresStore(place.url, { migrations: 'verify' }))
      expect(error).toMatchObject({ code: 'STORE_OUTDATED', details: { from: 0, to: 1 } })
      expect(error.hint).toContain('treaty store migrate')
    })
  })

  describe('treaty store migrate', () => {
    it('says what it would do, does it, and then has nothing to do', async () => {
      const place = freshSchema(server)
      const migrate = async (...args: string[]) => {
        const argv = ['store', 'migrate', '--store', place.url, '--json', ...args]
        const { code, out } = await runCaptured(argv, { cwd: '/' })
        expect(code).toBe(0)
        return JSON.parse(out).data.components
      }

      expect(await migrate('--dry-run')).toEqual([{ component: 'store', from: 0, to: 1 }])
      expect(await migrate()).toEqual([{ component: 'store', from: 0, to: 1 }])
      expect(await migrate()).toEqual([{ component: 'store', from: 1, to: 1 }])
      const store = await openPostgresStore(place.url, { migrations: 'verify' })
      await store.records.put('c', 'k', 1)
      await store.close()
      await place.drop()
    })
  })

  it('keys and names of the greatest length are kept apart', async () => {
    const place = freshSchema(server)
    const store = await openStore(place.url)
    // Different characters throughout: what repeats would be compressed.
    const long = (from: number) =>
      Array.from({ length: 512 }, (_, n) => String.fromCodePoint(0x20000 + from + n * 7)).join('')
    for (const n of [0, 1]) await store.records.put(long(n), long(9), n)
    for (const n of [0, 1]) await store.claims.claim(long(n), long(9), 60_000)
    expect((await store.records.get(long(0), long(9)))?.value).toBe(0)
    expect((await store.records.list(long(1), { limit: 9 })).map(({ key }) => key)).toEqual([
      long(9),
    ])
    await store.log.append(long(0), [1])
    await store.locks.acquire(long(0), long(1), 1000)
    await store.counters.add({ [long(0)]: 1 })
    await store.close()
    await place.drop()
  })
})
