import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, delay, systemClock } from '../core/clock.ts'
import type { Store } from '../store/store.ts'
import type { TestRunner } from './conformance/describe-transport.ts'
import { type ChildStore, type StoreChild, startStoreChild } from './store/child-process.ts'
import { claimPromises } from './store/claims.ts'
import { counterPromises } from './store/counters.ts'
import { lockPromises } from './store/locks.ts'
import { logPromises } from './store/log.ts'
import { processPromises } from './store/processes.ts'
import type { StoreFacts, StorePromise, StoreStage, StoreUnderTest } from './store/promise.ts'
import { recordPromises } from './store/records.ts'
import { wholePromises } from './store/whole.ts'

export type { ChildStore } from './store/child-process.ts'
export type { StoreUnderTest } from './store/promise.ts'

export interface DescribeStoreOptions {
  /** The caller's `{ describe, it }`. Default: vitest, imported when the suite is described. */
  readonly runner?: TestRunner
  /** How a child process opens the store; absent: what needs processes is listed as skipped. */
  readonly child?: ChildStore
  /** `unit`: only what one process can try; `processes`: only what needs several. Default `all`. */
  readonly parts?: 'all' | 'unit' | 'processes'
  readonly clock?: Clock
}

const trialMsMax = 90_000

const rooms: Readonly<Record<string, readonly StorePromise[]>> = {
  records: recordPromises,
  log: logPromises,
  claims: claimPromises,
  locks: lockPromises,
  counters: counterPromises,
  'the whole': wholePromises,
  'several processes': processPromises,
}

/**
 * Every promise of the port {@link Store}, as a test suite: an adapter that passes it is one.
 *
 * `open` makes a store with data of its own, once for each promise (and once before, to see what can
 * be asked). It gives either a bare store or, better, a {@link StoreUnderTest}, of which more can be
 * asked. What cannot be asked is listed as skipped, with the reason in its name.
 *
 * Resolves when the tests are registered: `await` it at the top of a test file.
 */
export async function describeStore(
  name: string,
  open: () => Promise<Store | StoreUnderTest>,
  options: DescribeStoreOptions = {},
): Promise<void> {
  const { parts = 'all', child, clock = systemClock } = options
  const runner = options.runner ?? ((await import('vitest')) as unknown as TestRunner)
  const facts = await look(open, child)
  const register = (promise: StorePromise) => {
    const reason = promise.unless?.(facts)
    if (reason === undefined) {
      runner.it(promise.statement, () => tryPromise(promise, { open, child, clock }), trialMsMax)
      return
    }
    const list = runner.it.skip?.bind(runner.it) ?? runner.it
    list(`${promise.statement} (skipped: ${reason})`, async () => undefined)
  }
  runner.describe(`store ${name}`, () => {
    for (const [room, promises] of Object.entries(rooms)) {
      const isProcesses = promises === processPromises
      if (parts !== 'all' && isProcesses !== (parts === 'processes')) continue
      runner.describe(room, () => promises.forEach(register))
    }
  })
}

function factsOf(opened: Store | StoreUnderTest, child: ChildStore | undefined): StoreFacts {
  const reconnects = 'connect' in opened
  return { store: reconnects ? opened : { connect: async () => opened }, child, reconnects }
}

async function look(open: Trial['open'], child: ChildStore | undefined): Promise<StoreFacts> {
  const facts = factsOf(await open(), child)
  if (!facts.reconnects) await (await facts.store.connect()).close()
  await facts.store.dispose?.()
  return facts
}

interface Trial {
  readonly open: () => Promise<Store | StoreUnderTest>
  readonly child: ChildStore | undefined
  readonly clock: Clock
}

async function tryPromise(promise: StorePromise, trial: Trial): Promise<void> {
  const facts = factsOf(await trial.open(), trial.child)
  const stage = createStage(facts, trial.clock)
  try {
    await promise.run(stage)
  } finally {
    await stage.end()
    await facts.store.dispose?.()
  }
}

function createStage(facts: StoreFacts, clock: Clock): StoreStage & { end(): Promise<void> } {
  const { store } = facts
  const connections: Store[] = []
  const children: StoreChild[] = []
  let folder: string | undefined
  return {
    store,
    clock,
    async connect() {
      const connection = await store.connect()
      connections.push(connection)
      return connection
    },
    passTime: (ms) => (store.passTime ? store.passTime(ms) : delay(clock, ms)),
    async startChild() {
      if (facts.child === undefined || store.url === undefined) throw new Error('no child process')
      const child = await startStoreChild(facts.child, store.url)
      children.push(child)
      return child
    },
    file(name) {
      folder ??= mkdtempSync(join(tmpdir(), 'treaty-store-'))
      return join(folder, name)
    },
    async end() {
      await Promise.all(children.map((child) => child.kill()))
      await Promise.all(connections.map((connection) => connection.close()))
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}
