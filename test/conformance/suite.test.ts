import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { isTreatyError } from '../../src/core/errors.ts'
import type {
  DeadLetterStore,
  Delivery,
  IncomingRecord,
  Settlement,
  TopologySurplus,
  Transport,
  TransportSubscription,
} from '../../src/messaging/index.ts'
import { openTransport } from '../../src/messaging/index.ts'
import type {
  DescribeTransportOptions,
  TestFunction,
} from '../../src/testing/conformance/describe-transport.ts'
import {
  describeTransport,
  transportBehaviours,
} from '../../src/testing/conformance/describe-transport.ts'
import type { TransportUnderTest } from '../../src/testing/index.ts'
import { faultTransport } from '../../src/testing/index.ts'

interface Result {
  readonly name: string
  readonly error?: unknown
  readonly skipped?: string
}

type Sabotage = (inner: Transport) => Partial<Transport>

/** Runs the suite with a runner of our own on the memory transport, or on what is made of it. */
async function run(
  sabotage: Sabotage,
  options: DescribeTransportOptions & { readonly broker?: Partial<TransportUnderTest> },
): Promise<Result[]> {
  const bodies: { name: string; body: Parameters<TestFunction>[1] }[] = []
  const it: TestFunction = (name, body) => bodies.push({ name, body })
  const describe = (_: string, body: () => void) => body()
  const open = () => {
    const name = `suite-${crypto.randomUUID()}`
    return {
      ...options.broker,
      async connect(connecting?: { leaseMs?: number }) {
        const inner = await openTransport(`memory:${name}`, connecting)
        const transport = { ...methodsOf(inner), ...sabotage(inner) }
        await transport.connect()
        return transport
      },
    }
  }
  await describeTransport('sabotaged', open, { runner: { describe, it }, ...options })
  const results: Result[] = []
  for (const { name, body } of bodies) {
    let skipped: string | undefined
    const context = { skip: (reason: string) => (skipped = reason) }
    const error = await body(context).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    results.push({
      name,
      ...(error === undefined ? {} : { error }),
      ...(skipped === undefined ? {} : { skipped }),
    })
  }
  return results
}

/** A transport may be a class: its methods as fields, so that some of them can be replaced. */
function methodsOf(inner: Transport): Transport {
  return {
    name: inner.name,
    capabilities: inner.capabilities,
    dead: inner.dead,
    connect: (signal) => inner.connect(signal),
    close: (closing) => inner.close(closing),
    ensure: (topology, mode) => inner.ensure(topology, mode),
    publish: (records, signal) => inner.publish(records, signal),
    subscribe: (spec, sink) => inner.subscribe(spec, sink),
    settle: (settlements) => inner.settle(settlements),
    stats: () => inner.stats(),
    onError: (listener) => inner.onError(listener),
    ...(inner.inboxSeen
      ? {
          inboxSeen: (group: string, keys: readonly string[]) =>
            inner.inboxSeen?.(group, keys) ?? Promise.resolve([]),
        }
      : {}),
    ...(inner.inventory && inner.remove
      ? {
          inventory: () => inner.inventory?.() ?? Promise.resolve({ channels: [], groups: [] }),
          remove: async (surplus: TopologySurplus) => inner.remove?.(surplus),
        }
      : {}),
  }
}

const onDeliveries =
  (change: (deliveries: readonly Delivery[]) => readonly Delivery[]): Sabotage =>
  (inner) => ({ subscribe: (spec, sink) => inner.subscribe(spec, (all) => sink(change(all))) })
const onRecord = (change: (record: IncomingRecord) => IncomingRecord): Sabotage =>
  onDeliveries((all) => all.map((each) => Object.assign(each, { record: change(each.record) })))
const onSettle =
  (change: (settlement: Settlement) => Settlement): Sabotage =>
  (inner) => ({ settle: (settlements) => inner.settle(settlements.map(change)) })
const onDead =
  (change: (dead: DeadLetterStore, inner: Transport) => Partial<DeadLetterStore>): Sabotage =>
  (inner) => {
    const { dead } = inner
    const healthy: DeadLetterStore = {
      list: (filter, page) => dead.list(filter, page),
      get: (id) => dead.get(id),
      replay: (id) => dead.replay(id),
      discard: (id) => dead.discard(id),
      count: (filter) => dead.count(filter),
      put: (letter) => dead.put(letter),
    }
    return { dead: { ...healthy, ...change(dead, inner) } }
  }
const onSubscription =
  (change: (inner: TransportSubscription) => Partial<TransportSubscription>): Sabotage =>
  (inner) => ({
    async subscribe(spec, sink) {
      const subscription = await inner.subscribe(spec, sink)
      return {
        grant: (count) => subscription.grant(count),
        pause: () => subscription.pause(),
        resume: () => subscription.resume(),
        stop: () => subscription.stop(),
        isReady: true,
        ...change(subscription),
      }
    },
  })

/** One broken promise each, by the number of the behaviour that must notice. */
const sabotages: readonly (readonly [number, string, Sabotage])[] = [
  [1, 'a body is cut by a byte', onRecord((record) => ({ ...record, body: record.body.slice(1) }))],
  [1, 'headers are lost', onRecord((record) => ({ ...record, headers: {} }))],
  [
    3,
    'one bad record fails the batch',
    (inner) => ({
      async publish(records) {
        const results = await inner.publish(records)
        const bad = results.find((result) => 'error' in result)
        return bad ? results.map(() => bad) : results
      },
    }),
  ],
  [
    4,
    'a refusal is no typed error',
    (inner) => ({
      publish: async (records) =>
        (await inner.publish(records)).map((result) =>
          'error' in result ? { error: new TypeError('too large') as never } : result,
        ),
    }),
  ],
  [
    6,
    'a message goes to two',
    (inner) => ({
      subscribe: (spec, sink) => inner.subscribe(spec, (all) => sink([...all, ...all])),
    }),
  ],
  [
    9,
    'the delay of a retry is ignored',
    onSettle((each) => (each.outcome === 'retry' ? { ...each, delayMs: 0 } : each)),
  ],
  [
    12,
    'a dead letter forgets its contract',
    onSettle((each) =>
      each.outcome === 'dead' ? { ...each, failure: { reason: each.failure.reason } } : each,
    ),
  ],
  [
    13,
    'what is dead is tried again',
    onSettle((each) =>
      each.outcome === 'dead' ? { outcome: 'retry', delivery: each.delivery, delayMs: 0 } : each,
    ),
  ],
  [
    14,
    'a dead letter loses its bytes',
    onDead((dead) => ({
      get: async (id) => {
        const letter = await dead.get(id)
        return letter && { ...letter, body: new Uint8Array() }
      },
    })),
  ],
  [
    16,
    'a release counts as an attempt',
    onSettle((each) =>
      each.outcome === 'release' ? { outcome: 'retry', delivery: each.delivery, delayMs: 0 } : each,
    ),
  ],
  [
    18,
    'a replay publishes anew to everybody',
    onDead((dead, inner) => ({
      async replay(id) {
        const letter = await dead.get(id)
        if (!letter) return false
        await inner.publish([{ ...letter, id: letter.messageId, type: letter.event }])
        return dead.discard(id)
      },
    })),
  ],
  [
    24,
    'a stuck key stops the others',
    onSubscription((inner) => {
      let granted = false
      return {
        grant() {
          if (!granted) inner.grant(1)
          granted = true
        },
      }
    }),
  ],
  [
    21,
    'keys are ignored',
    (inner) => ({
      publish: (records) => inner.publish(records.map(({ key: _, ...record }) => record)),
      subscribe: (spec, sink) =>
        inner.subscribe(spec, (all) =>
          sink(
            all.map((each) => Object.assign(each, { record: { ...each.record, key: 'key-0' } })),
          ),
        ),
    }),
  ],
  [
    25,
    'priorities are ignored',
    (inner) => ({
      publish: (records) => inner.publish(records.map((record) => ({ ...record, priority: 1 }))),
    }),
  ],
  [
    26,
    'expiry is ignored',
    (inner) => ({
      publish: (records) => inner.publish(records.map(({ expiresAt: _, ...record }) => record)),
    }),
  ],
  [
    27,
    'a delay is ignored',
    (inner) => ({
      publish: (records) => inner.publish(records.map(({ deliverAt: _, ...record }) => record)),
    }),
  ],
  [
    28,
    'duplicates are taken',
    (inner) => ({
      publish: (records) => inner.publish(records.map(({ dedupWindowMs: _, ...record }) => record)),
    }),
  ],
  [
    29,
    'more is handed out than was granted',
    onSubscription((inner) => ({ grant: (count) => inner.grant(count * 2) })),
  ],
  [
    29,
    'a subscription begins with credit',
    onSubscription((inner) => {
      inner.grant(1)
      return {}
    }),
  ],
  [30, 'a pause is ignored', onSubscription(() => ({ pause: () => undefined }))],
  [
    32,
    'close waits for ever for a handler',
    (inner) => ({
      close: (closing) =>
        inner.close({ drainMs: closing.drainMs === 300 ? 60_000 : closing.drainMs }),
    }),
  ],
  [38, 'the cause is lost', onRecord(({ causationId: _, ...record }) => record)],
  [
    39,
    'everything is made anew each time',
    (inner) => ({
      async ensure(topology, mode) {
        const diff = await inner.ensure(topology, mode)
        return mode === 'create'
          ? { ...diff, created: topology.channels.map((each) => each.address) }
          : diff
      },
    }),
  ],
  [
    39,
    'drift is not noticed',
    (inner) => ({
      ensure: async (topology, mode) => ({ ...(await inner.ensure(topology, mode)), drift: [] }),
    }),
  ],
  [
    40,
    'what was skipped counts as handled',
    onSettle((each) => (each.outcome === 'ack' ? { ...each, as: 'handled' } : each)),
  ],
  [
    41,
    'a closed transport takes messages',
    (inner) => ({
      publish: async (records) => {
        try {
          return await inner.publish(records)
        } catch (error) {
          if (!isTreatyError(error)) throw error
          return records.map(({ id }) => ({ id, position: '1' }))
        }
      },
    }),
  ],
  [
    43,
    'a denial has no reason',
    (inner) => ({ capabilities: { ...inner.capabilities, denials: {} } }),
  ],
  [
    44,
    'an effect that throws is acknowledged',
    (inner) => ({
      settle: (settlements) =>
        inner.settle(
          settlements.map((each) => {
            if (each.outcome !== 'ack') return each
            const { effect, ...rest } = each
            try {
              effect?.(undefined)
            } catch {
              // Swallowed: the sabotage.
            }
            return rest
          }),
        ),
    }),
  ],
  [45, 'the inbox forgets', () => ({ inboxSeen: async (_, keys) => keys.map(() => false) })],
  [
    46,
    'what is taken away takes others along',
    (inner) => ({
      async remove(surplus) {
        const all = (await inner.inventory?.()) ?? { groups: [] }
        const isOnlyGroups = surplus.groups.length > 0 && surplus.channels.length === 0
        const groups = isOnlyGroups ? all.groups.map(({ name }) => name) : surplus.groups
        await inner.remove?.({ ...surplus, groups })
      },
    }),
  ],
  [
    46,
    'a channel goes although a group reads it',
    (inner) => ({
      async remove(surplus) {
        const all = (await inner.inventory?.()) ?? { groups: [] }
        const readers = all.groups.filter(({ addresses }) =>
          addresses.some((address) => surplus.channels.includes(address)),
        )
        const groups = [...surplus.groups, ...readers.map(({ name }) => name)]
        await inner.remove?.({ ...surplus, groups })
      },
    }),
  ],
]

const small = { seed: 1, effort: { soakMs: 500, orderKeys: 20, orderMessages: 10, backlog: 2000 } }

/** As if the broker outlived its processes, so that what needs that is tried. */
const durable: Sabotage = (inner) => ({ capabilities: { ...inner.capabilities, durable: true } })
const lossy: Sabotage = (inner) => ({
  ...durable(inner),
  async publish(records) {
    const kept = records.filter(({ id }) => !id.endsWith('7'))
    await inner.publish(kept)
    return records.map(({ id }) => ({ id, position: '1' }))
  },
})
const shaken: Sabotage = (inner) => ({
  ...faultTransport(inner, { seed: 5, failPublish: 0.1, loseConfirm: 0.1, dropAck: 0.2 }),
  ...durable(inner),
})

describe('describeTransport', () => {
  it.concurrent.each([
    [33, { restart: async () => undefined }],
    [34, { cut: async () => undefined }],
  ])(
    'asks a broker that can be killed or cut to lose nothing (behaviour %i)',
    async (number, broker) => {
      const options = { ...small, only: [number], broker }
      const [healthy] = await run(durable, options)
      const [recovering] = await run(shaken, options)
      const [losing] = await run(lossy, { ...options, patience: 0.06 })

      expect(healthy?.error).toBeUndefined()
      expect(healthy?.skipped).toBeUndefined()
      expect(recovering?.error).toBeUndefined()
      expect(String(losing?.error)).toMatch(/in vain for/)
    },
  )

  it('names each of the 42 behaviours and those beyond them once', () => {
    expect(transportBehaviours.map((behaviour) => behaviour.number)).toEqual(
      Array.from({ length: 46 }, (_, at) => at + 1),
    )
    expect(new Set(transportBehaviours.map((behaviour) => behaviour.statement)).size).toBe(46)
  })

  it('lists what an adapter denies as skipped, with the reason of the adapter', async () => {
    const results = await run(() => ({}), { ...small, only: [2, 7, 36] })

    expect(results.map((result) => result.skipped)).toEqual([
      expect.stringContaining('durable is not claimed: messages live in the memory'),
      expect.stringContaining('multiProcess is not claimed'),
      expect.stringContaining('multiProcess is not claimed'),
    ])
    expect(results.every((result) => result.error === undefined)).toBe(true)
  })

  it('lists as skipped what an adapter without the optional members cannot show', async () => {
    const without = () => ({ remove: undefined }) as unknown as Partial<Transport>
    const [result] = await run(without, { ...small, only: [46] })

    expect(result).toMatchObject({ skipped: expect.stringContaining('inventory and remove') })
  })

  it.concurrent.each(sabotages)('notices by behaviour %i that %s', async (number, _, sabotage) => {
    const [healthy] = number === 43 ? [] : await run(() => ({}), { ...small, only: [number] })
    const [result] = await run(sabotage, { ...small, only: [number], patience: 0.2 })

    expect(healthy?.error).toBeUndefined()
    expect(result?.error).toBeInstanceOf(Error)
    expect(String(result?.error)).toContain('seed 1')
  })

  it('loads no test runner with the door, and runs under node:test', () => {
    const door = new URL('../../src/testing/index.ts', import.meta.url).href
    const memory = new URL('../../src/messaging/index.ts', import.meta.url).href
    const program = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context) } })
      const { describeTransport } = await import(${JSON.stringify(door)})
      const runners = loaded.filter((each) => /^(vitest|@vitest|jest|node:test)/.test(each))
      const { describe, it } = await import('node:test')
      const { openTransport } = await import(${JSON.stringify(memory)})
      it('runners loaded: ' + runners.length, () => {})
      await describeTransport('bare', () => openTransport('memory:'), { runner: { describe, it }, only: [1, 2, 5] })`
    const done = spawnSync(
      process.execPath,
      ['--test-reporter=tap', '--input-type=module', '-e', program],
      { encoding: 'utf8' },
    )

    expect(done.stdout).toContain('ok 1 - runners loaded: 0')
    expect(done.stdout).toContain('ok 1 - 1 delivers bytes')
    expect(done.stdout).toMatch(/ok 2 - 2 resolves.* # SKIP durable is not claimed/)
    expect(done.stdout).toContain('# fail 0')
    expect(done.status).toBe(0)
  })
})
