import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { LogEntry, Store } from '../../store/store.ts'
import type { StoreChild } from './child-process.ts'
import type { StorePromise, StoreStage } from './promise.ts'
import { needsProcesses } from './promise.ts'

const processCount = 10

function startTen(stage: StoreStage): Promise<StoreChild[]> {
  return Promise.all(Array.from({ length: processCount }, () => stage.startChild()))
}

async function wholeLog(store: Store, stream: string): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  for (;;) {
    const page = await store.log.read(stream, { after: entries.length, limit: 1000 })
    if (page.length === 0) return entries
    entries.push(...page)
  }
}

function assertGapless(entries: readonly LogEntry[]): void {
  deepStrictEqual(
    entries.map((entry) => entry.position),
    entries.map((_, index) => index + 1),
  )
}

/** Promises that only several processes can try. */
export const processPromises: readonly StorePromise[] = [
  {
    statement: 'opens new data in ten processes at once',
    unless: needsProcesses,
    async run(stage) {
      // Nothing was opened before: the ten meet an empty place, and each migrates or waits.
      const children = await startTen(stage)
      await Promise.all(
        children.map((child) => child.call({ method: 'counters.add', args: [{ opened: 1 }] })),
      )
      const store = await stage.connect()
      deepStrictEqual(await store.counters.read(''), { opened: processCount })
    },
  },
  {
    statement: 'has one winner when ten processes put, claim, lock or append at the same place',
    unless: needsProcesses,
    async run(stage) {
      const children = await startTen(stage)
      const race = async (method: string, args: unknown[]) =>
        (await Promise.all(children.map((child) => child.call({ method, args })))).flat()
      const puts = await race('records.put', ['c', 'k', 1, { expect: 0 }])
      strictEqual(puts.filter((record) => record !== null).length, 1)
      const claims = (await race('claims.claim', ['s', 'k', 600_000])) as { state: string }[]
      deepStrictEqual(claims.map((claim) => claim.state).toSorted(), [
        'claimed',
        ...Array.from({ length: processCount - 1 }, () => 'running'),
      ])
      const locks = await race('locks.acquire', ['l', 'holder', 600_000])
      strictEqual(locks.filter((lock) => lock !== null).length, 1)
      const appends = await race('log.append', ['s', [1, 2], { expect: 0 }])
      deepStrictEqual(
        appends.filter((position) => position !== null),
        [1],
      )
    },
  },
  {
    statement: 'keeps the writes of ten processes whole, gapless and counted',
    unless: needsProcesses,
    async run(stage) {
      const children = await startTen(stage)
      const times = 20
      const starts = await Promise.all(
        children.map((child) =>
          child.call({ method: 'log.append', args: ['s', [0, 1, 2]], times }),
        ),
      )
      await Promise.all(
        children.map((child) => child.call({ method: 'counters.add', args: [{ n: 1 }], times })),
      )
      await Promise.all(
        children.map((child) => child.call({ method: 'records.put', args: ['c', 'k', 1], times })),
      )
      const store = await stage.connect()
      const entries = await wholeLog(store, 's')
      assertGapless(entries)
      strictEqual(entries.length, processCount * times * 3)
      strictEqual(new Set(starts.flat()).size, processCount * times)
      ok(entries.every((entry) => entry.value === (entry.position - 1) % 3))
      deepStrictEqual(await store.counters.read('n'), { n: processCount * times })
      strictEqual((await store.records.get('c', 'k'))?.revision, processCount * times)
    },
  },
  {
    statement: 'frees claims and locks of a killed process by time, not before',
    unless: needsProcesses,
    async run(stage) {
      const [child, store] = [await stage.startChild(), await stage.connect()]
      // Long enough for a loaded machine to look at it before it ends.
      const leaseMs = 2500
      await child.call({ method: 'claims.claim', args: ['s', 'k', leaseMs] })
      await child.call({ method: 'locks.acquire', args: ['l', 'child', leaseMs] })
      await child.kill()
      strictEqual((await store.claims.claim('s', 'k', 600_000)).state, 'running')
      strictEqual(await store.locks.acquire('l', 'heir', 600_000), undefined)
      await new Promise((resolve) => stage.clock.setTimeout(() => resolve(undefined), leaseMs + 50))
      strictEqual((await store.claims.claim('s', 'k', 600_000)).state, 'claimed')
      ok(await store.locks.acquire('l', 'heir', 600_000))
    },
  },
  {
    statement: 'loses nothing that was acknowledged, and keeps no half, when a writer is killed',
    unless: needsProcesses,
    async run(stage) {
      const store = await stage.connect()
      for (let round = 1; round <= 5; round += 1) {
        const child = await stage.startChild()
        const stream = `round ${round}`
        const args = [stream, [0, 1, 2, 3, 4]]
        // It never ends by itself: the kill comes in the middle of it.
        void child
          .call({ method: 'log.append', args, times: 1e9, tells: true })
          .catch(() => undefined)
        await child.untilTold(7 * round)
        await child.kill()
        const entries = await wholeLog(store, stream)
        assertGapless(entries)
        strictEqual(entries.length % 5, 0)
        const acknowledged = Math.max(...child.told.map(Number))
        ok(entries.length >= acknowledged + 4, `${entries.length} kept, ${acknowledged} told`)
      }
    },
  },
]
