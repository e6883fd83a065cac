import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { loadContracts } from '../contracts/index.ts'
import { openBus, openTransport } from '../messaging/index.ts'
import { distributionOf, histogramOf } from './bench/quantiles.ts'
import { needsHistory } from './broker-history.ts'
import { parseLines, runCaptured } from './captured-run.ts'
import { sampleOrder, sampleProject } from './sample-project.ts'
import { instantOf } from './tail/from.ts'

const run = (cwd: string, argv: readonly string[], isTerminal = false) =>
  runCaptured(argv, { cwd, isTerminal })
const dataOf = (out: string) => (JSON.parse(out) as { data: Record<string, unknown> }).data

async function publish(cwd: string, orderId: string, amount = 100): Promise<void> {
  const data = JSON.stringify(sampleOrder(orderId, amount))
  const { code } = await run(cwd, ['publish', 'order.placed', '--data', data])
  expect(code).toBe(0)
}

describe('treaty topology', () => {
  it('plans with exit 3 what is missing, makes it, and then has nothing to report', async () => {
    const cwd = sampleProject()
    const before = await run(cwd, ['topology', 'plan'])
    expect(before.code).toBe(3)
    expect(before.out).toMatch(/\+ channel .*\n {2}\+ group \S+billing/)

    const verify = await run(cwd, ['topology', 'verify', '--json'])
    expect(verify.code).toBe(3)
    expect(JSON.parse(verify.out).findings[0]).toMatchObject({ code: 'TOPOLOGY_MISSING' })

    const applied = await run(cwd, ['topology', 'apply', '--json'])
    expect(applied.code).toBe(0)
    expect(dataOf(applied.out)).toMatchObject({ missing: [], drift: [] })
    expect((dataOf(applied.out).created as string[]).length).toBeGreaterThan(1)
    expect((await run(cwd, ['topology', 'plan'])).code).toBe(0)
    expect((await run(cwd, ['topology', 'verify'])).out).toContain('keeps every promise')
  })

  it('changes nothing with --dry-run', async () => {
    const cwd = sampleProject()
    expect((await run(cwd, ['topology', 'apply', '--dry-run'])).code).toBe(3)
    expect((await run(cwd, ['topology', 'plan'])).code).toBe(3)
  })

  it('names what the contracts have no more, and deletes it only when that is allowed', async () => {
    const cwd = sampleProject()
    await publish(cwd, 'a')
    const path = join(cwd, 'contracts/orders.treaty.yaml')
    const { contracts } = await loadContracts(join(cwd, 'contracts'))
    const file = contracts[0]?.file ?? path
    const { readFileSync } = await import('node:fs')
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('billing', 'invoicing'))
    await run(cwd, ['topology', 'apply'])

    const plan = await run(cwd, ['topology', 'plan'])
    expect(plan.code).toBe(3)
    expect(plan.out).toMatch(/- group \S+\.billing {2}\(1 message waiting\)/)
    expect((await run(cwd, ['topology', 'verify'])).code).toBe(0)
    const kept = dataOf((await run(cwd, ['topology', 'apply', '--json'])).out)
    expect(kept).toMatchObject({ isSurplusRemoved: false })

    const gone = await run(cwd, ['topology', 'apply', '--allow-delete'])
    expect([gone.code, /1 taken away/.test(gone.out)]).toEqual([0, true])
    expect((await run(cwd, ['topology', 'plan'])).code).toBe(0)
  })
})

describe('treaty lag', () => {
  it('shows what waits for each consumer, and exits with 0', async () => {
    const cwd = sampleProject()
    await publish(cwd, 'a')
    await publish(cwd, 'b')

    const { code, out } = await run(cwd, ['lag', '--json'])

    expect(code).toBe(0)
    expect(dataOf(out).consumers).toMatchObject([
      { consumer: 'billing', ready: 2, inFlight: 0, delayed: 0, blocked: 0 },
    ])
    expect((await run(cwd, ['lag'])).out).toMatch(/billing +2 +0 +0 +0 +\d+ ms/)
  })

  it('looks again and again with --watch, until it is stopped', async () => {
    const cwd = sampleProject()
    const stop = new AbortController()
    let looks = 0
    const { code, out } = await runCaptured(['lag', '--watch', '--every', '5', '--json'], {
      cwd,
      stopping: stop.signal,
      onWrite() {
        looks += 1
        if (looks === 3) stop.abort('SIGINT')
      },
    })

    expect(code).toBe(0)
    const kinds = parseLines(out).map(({ kind }) => kind)
    expect(kinds.slice(0, 3)).toEqual(['lag', 'lag', 'lag'])
    expect(kinds.at(-1)).toBe('summary')
  })
})

describe('treaty tail', () => {
  it('begins where --from says, and shows what --filter wants', async () => {
    const cwd = sampleProject()
    for (const [id, amount] of [
      ['a', 100],
      ['b', 300],
      ['c', 500],
    ] as const) {
      await publish(cwd, id, amount)
    }
    const { code, out } = await run(cwd, [
      'tail',
      '--from',
      '-1h',
      '--filter',
      'data.total.amount + 1 > 300 && event == "order.placed"',
      '--max',
      '2',
      '--json',
    ])

    expect(code).toBe(0)
    const lines = parseLines(out)
    expect(lines.slice(1, -1).map(({ data }) => (data as { orderId: string }).orderId)).toEqual([
      'b',
      'c',
    ])
    expect(lines.at(-1)).toMatchObject({ kind: 'summary', shown: 2, filtered: 1, unclear: 0 })
  })

  it('shows nothing from before --from, and counts what the filter cannot judge', async () => {
    const cwd = sampleProject()
    await publish(cwd, 'a')
    const late = await run(cwd, ['tail', '--from', '2999-01-01', '--timeout', '400', '--json'])
    expect(parseLines(late.out).at(-1)).toMatchObject({ kind: 'summary', shown: 0 })
    const filter = ['--filter', 'data.nope == 1']
    const { out } = await run(cwd, ['tail', '--all', ...filter, '--timeout', '400', '--json'])

    expect(parseLines(out).at(-1)).toMatchObject({ shown: 0, filtered: 1, unclear: 1 })
  })

  it.each([
    ['data.total ==', '--filter cannot be read'],
    ['nope == 1', 'nope'],
    ['size(event)', 'true or false'],
  ])('refuses the filter %j as wrong use', async (filter, why) => {
    const { code, err } = await run(sampleProject(), ['tail', '--filter', filter])

    expect([code, err.includes(why)]).toEqual([2, true])
  })

  it('refuses an instant that is none', async () => {
    const { code, err } = await run(sampleProject(), ['tail', '--from', 'yesterday'])

    expect([code, err.includes('is no instant')]).toEqual([2, true])
  })

  it('reads instants as dates and as how long ago', () => {
    const now = Date.parse('2026-11-20T12:00:00Z')
    expect(instantOf('earliest', now)).toBe(0)
    expect(instantOf('-1h', now)).toBe(now - 3_600_000)
    expect(instantOf('15m', now)).toBe(now - 900_000)
    expect(instantOf('2026-11-20T10:00:00Z', now)).toBe(now - 7_200_000)
  })
})

describe('a mistyped name', () => {
  it.each([
    [['lag', '--consumer', 'biling'], 'CONSUMER_NOT_FOUND', "Did you mean 'billing'?", 4],
    [['dead', 'list', '--consumer', 'biling'], 'CONSUMER_NOT_FOUND', "'billing'?", 4],
    [['tail', '--event', 'order.place'], 'UNKNOWN_EVENT', "Did you mean 'order.placed'?", 4],
    [['bench', 'nats'], 'TRANSPORT_UNKNOWN', 'nats://localhost:4222', 2],
    [['stats', '--transport', 'rabbitmq'], 'TRANSPORT_UNKNOWN', 'amqp://HOST:PORT', 2],
  ] as const)('of treaty %j is an error and no empty answer', async (argv, code, hint, exit) => {
    const cwd = sampleProject()
    const { code: exited, err } = await run(cwd, argv)

    expect(exited).toBe(exit)
    expect(err).toContain(code)
    expect(err).toContain(hint)
    expect(existsSync(join(cwd, argv[1]))).toBe(false)
  })
})

describe('a broker that keeps nothing of what was handled', () => {
  it('refuses --from and a trace, for showing nothing would say that there was nothing', async () => {
    const { browse: _browse, ...transport } = await openTransport('memory:')
    const capabilities = { ...transport.capabilities, historyReplay: false }

    expect(() => needsHistory({ ...transport, capabilities }, '--from')).toThrow(
      /memory keeps nothing of what was handled, and --from needs that/,
    )
    expect(() => needsHistory(transport, 'a trace')).not.toThrow()
  })
})

describe('treaty bench', () => {
  it('measures latency and throughput, and leaves nothing behind', async () => {
    const cwd = sampleProject()
    const argv = ['bench', 'sqlite:bench.db', '--seconds', '1', '--size', '50', '--keys', '5']
    const { code, out } = await run(cwd, [...argv, '--json'])

    expect(code).toBe(0)
    const lines = parseLines(out)
    expect(lines.map(({ kind, batch }) => batch ?? kind)).toEqual([
      'latency',
      1,
      10,
      100,
      1000,
      'summary',
    ])
    const summary = lines.at(-1) as { latency: { endToEndMs: { p50: number; count: number } } }
    expect(summary.latency.endToEndMs.p50).toBeGreaterThan(0)
    expect(summary).toMatchObject({ ok: true, broker: 'sqlite', isTakenAway: true })
    const database = new DatabaseSync(join(cwd, 'bench.db'))
    expect(database.prepare('SELECT count(*) AS count FROM bus_topic').get()).toEqual({ count: 0 })
    expect(database.prepare('SELECT count(*) AS count FROM bus_group').get()).toEqual({ count: 0 })
    database.close()
  }, 60_000)

  it('gives quantiles by nearest rank and buckets without holes', () => {
    const values = Array.from({ length: 1000 }, (_, at) => at + 1)
    expect(distributionOf(values)).toEqual({
      count: 1000,
      p50: 500,
      p90: 900,
      p99: 990,
      p999: 999,
      max: 1000,
    })
    expect(histogramOf([0.3, 0.4, 7])).toEqual([
      { toMs: 0.5, count: 2 },
      { toMs: 1, count: 0 },
      { toMs: 2, count: 0 },
      { toMs: 5, count: 0 },
      { toMs: 10, count: 1 },
    ])
  })
})

describe('treaty outbox', () => {
  async function written(cwd: string, orders: readonly string[]): Promise<void> {
    const url = `sqlite:${join(cwd, 'app.db')}`
    const bus = await openBus({
      contracts: join(cwd, 'contracts'),
      transport: 'memory:',
      outbox: { url, relay: false },
    })
    const database = new DatabaseSync(join(cwd, 'app.db'))
    database.exec('BEGIN IMMEDIATE')
    for (const order of orders) bus.outbox(database).publish('order.placed', sampleOrder(order))
    database.exec('COMMIT')
    database.close()
    await bus.close()
  }
  const at = ['--outbox', 'sqlite:app.db']

  it('shows what waits, sends it, and shows that nothing waits', async () => {
    const cwd = sampleProject()
    await written(cwd, ['a', 'b', 'c'])
    expect(dataOf((await run(cwd, ['outbox', 'status', ...at, '--json'])).out)).toMatchObject({
      backlog: 3,
      parked: 0,
    })

    const relay = await run(cwd, ['outbox', 'relay', ...at, '--idle-exit', '100', '--json'])

    expect(relay.code).toBe(0)
    expect(parseLines(relay.out).at(-1)).toMatchObject({ kind: 'summary', sent: 3, parked: 0 })
    expect((await run(cwd, ['outbox', 'status', ...at])).out).toContain('nothing waits')
    const { out } = await run(cwd, ['stats', '--json'])
    expect(dataOf(out)).toMatchObject({ published: 3, waiting: 3 })
  })

  it('lists what is parked, lets it be retried and discarded, and knows no other ids', async () => {
    const cwd = sampleProject()
    await written(cwd, ['a', 'b'])
    const database = new DatabaseSync(join(cwd, 'app.db'))
    database.exec(`UPDATE treaty_outbox SET parked_at = 1, failures = 10, error = 'TOO BAD'`)
    database.close()

    const status = await run(cwd, ['outbox', 'status', ...at])
    expect([status.code, status.out.includes('parked  2')]).toEqual([3, true])
    const parked = dataOf((await run(cwd, ['outbox', 'parked', ...at, '--json'])).out)
    const [first, second] = parked.items as { id: string }[]
    expect(first).toMatchObject({ event: 'order.placed', failures: 10, error: 'TOO BAD' })

    expect((await run(cwd, ['outbox', 'retry', first?.id ?? '', ...at])).code).toBe(0)
    expect((await run(cwd, ['outbox', 'discard', second?.id ?? '', ...at])).code).toBe(0)
    expect((await run(cwd, ['outbox', 'discard', second?.id ?? '', ...at])).code).toBe(4)
    expect((await run(cwd, ['outbox', 'status', ...at])).out).toContain('1 waiting')
  })

  it('makes no file by looking, and has its tables made by treaty store migrate', async () => {
    const cwd = sampleProject()
    expect((await run(cwd, ['outbox', 'status', ...at])).code).not.toBe(0)
    const { readdirSync } = await import('node:fs')
    expect(readdirSync(cwd)).not.toContain('app.db')

    const migrate = await run(cwd, ['store', 'migrate', ...at, '--json'])
    expect(dataOf(migrate.out).components).toContainEqual({ component: 'outbox', from: 0, to: 1 })
    expect((await run(cwd, ['outbox', 'status', ...at])).code).toBe(0)
  })

  it('needs to be told where it is when the transport is no database of PostgreSQL', async () => {
    const { code, err } = await run(sampleProject(), ['outbox', 'status'])

    expect([code, err.includes('--outbox')]).toEqual([2, true])
  })
})
