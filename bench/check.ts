import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BenchOptions, measureSides, median, type Round, type Side } from './measure.ts'
import { atMost, type Report } from './report.ts'

const treaty = fileURLToPath(new URL('../bin/treaty.js', import.meta.url))
const domains = ['billing', 'catalog', 'identity', 'payment', 'returns', 'shipping', 'stock', 'tax']

/** Preloaded into the process that is measured: says at its end what CPU time it had, in microseconds. */
const meter = `data:text/javascript,${encodeURIComponent(`
import { writeSync } from 'node:fs'
process.on('exit', () => writeSync(3, JSON.stringify(process.cpuUsage())))`)}`

interface Usage {
  readonly user: number
  readonly system: number
}

/** One contract as a team would write it: two events, two consumers that say what they need. */
function contractText(number: number, isChanged: boolean): string {
  const id = `${domains[number % domains.length]}.c${number}`
  const channel = `${id}.events`
  const consumer = (name: string, needs: string) => `  ${name}-${number}:
    accepts: ^1.0.0
    since: 1.0.0
    pending: true
    idempotency: { key: id, window: 14d }
    retry: { attempts: 5, base: 1s, factor: 2, cap: 5m, jitter: full }
    deadLetter: { address: ${id}.${name}.dlq, retention: 14d, owner: team-${number % 40}, onDead: next }
    events:
      ${id}.opened: { needs: ${needs}, handling: Records it under its number. }`
  return `treaty: 1
id: ${id}
version: 1.0.0
status: active
purpose: Tells others what happens to record ${number}, so that they need not ask.
owner: { team: team-${number % 40}, contact: team-${number % 40}@example.com }
pattern: pub-sub
envelope: treaty

channels:
  main: { address: ${channel}, key: record_id, ordering: per-key, retention: 30d }

events:
  ${id}.opened:
    channel: main
    purpose: Sent when a record is opened, so that others can prepare.
    schema:
      type: object
      required: [record_id, opened_at, amount, lines]
      properties:
        record_id: { type: string, pattern: '^rec_[0-9]{4,12}$' }
        opened_at: { type: string, format: date-time }
        amount: { type: ${isChanged ? 'number' : 'integer'}, minimum: 0 }
        currency: { enum: [CHF, EUR, USD] }
        note: { type: [string, 'null'], maxLength: ${100 + (number % 100)} }
        lines:
          type: array
          minItems: 1
          items:
            type: object
            required: [sku, quantity]
            properties:
              sku: { type: string, minLength: 1 }
              quantity: { type: integer, minimum: 1 }
    examples:
      - record_id: rec_${1000 + number}
        opened_at: '2026-01-05T08:00:00Z'
        amount: ${number}
        currency: EUR
        lines: [{ sku: A-${number}, quantity: 1 }]
  ${id}.closed:
    channel: main
    purpose: Sent when a record is closed, so that others can forget it.
    schema:
      type: object
      required: [record_id, closed_at]
      properties:
        record_id: { type: string, pattern: '^rec_[0-9]{4,12}$' }
        closed_at: { type: string, format: date-time }
        reason: { enum: [done, cancelled, expired] }
    examples:
      - { record_id: rec_${1000 + number}, closed_at: '2026-01-06T08:00:00Z', reason: done }

evolution: { policy: evolvable, mode: full }

producers:
  ${id}-service: { onInvalid: reject, events: [${id}.opened, ${id}.closed] }

consumers:
${consumer('ledger', '[record_id, amount, currency]')}
${consumer('search', '[record_id, lines]')}
`
}

/** Folders `before` and `after`, with the same contracts but for every hundredth. */
function writeContracts(folder: string, count: number): void {
  mkdirSync(join(folder, 'before', 'contracts'), { recursive: true })
  for (let number = 0; number < count; number += 1) {
    const file = join(folder, 'before', 'contracts', `c${number}.yaml`)
    writeFileSync(file, contractText(number, false))
  }
  cpSync(join(folder, 'before'), join(folder, 'after'), { recursive: true })
  for (let number = 0; number < count; number += 100) {
    const file = join(folder, 'after', 'contracts', `c${number}.yaml`)
    writeFileSync(file, contractText(number, true))
  }
}

/** Runs the command in a process of its own, from its start to its end. */
function run(args: readonly string[], expected: { exitCode: number; contracts: number }): Usage {
  const nodeArgs = ['--import', meter, treaty, 'check', ...args, '--json', '--no-input']
  const child = spawnSync(process.execPath, nodeArgs, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const seen = (JSON.parse(child.stdout) as { data: { contracts: unknown[] } }).data.contracts
  if (child.status !== expected.exitCode || seen.length !== expected.contracts)
    throw new Error(`treaty check: exit ${child.status}, ${seen.length} contracts, ${child.stderr}`)
  return JSON.parse(child.output[3] ?? '') as Usage
}

/** `treaty check` of the built package, as somebody calls it. */
export async function bench(options: BenchOptions): Promise<Report> {
  const count = options.isSmoke ? 100 : 1000
  const folder = mkdtempSync(join(tmpdir(), 'treaty-bench-check-'))
  writeContracts(folder, count)
  const after = ['--cwd', join(folder, 'after')]
  const usages = new Map<string, Usage[]>()
  const walls = new Map<string, number[]>()
  const side = (name: string, args: readonly string[], exitCode: number): Side => ({
    name,
    round(): Round {
      const begunAt = performance.now()
      const usage = run(args, { exitCode, contracts: count })
      const elapsedMs = performance.now() - begunAt
      usages.set(name, [...(usages.get(name) ?? []), usage])
      walls.set(name, [...(walls.get(name) ?? []), elapsedMs])
      return {
        operations: count,
        elapsedMs,
        cpuMicros: usage.user + usage.system,
        latenciesMs: [],
      }
    },
  })
  const sides = [
    side('treaty check', after, 0),
    side('treaty check --against', [...after, '--against', join(folder, 'before', 'contracts')], 3),
  ]
  try {
    const rows = await measureSides(sides, { rounds: options.rounds, reference: 'treaty check' })
    // The first of each is the round that warms up.
    const seconds = sides.map(({ name }) => ({
      name,
      wall: median((walls.get(name) ?? []).slice(1)) / 1_000,
      user: median((usages.get(name) ?? []).slice(1).map(({ user }) => user)) / 1e6,
      system: median((usages.get(name) ?? []).slice(1).map(({ system }) => system)) / 1e6,
    }))
    const bytes = readFileSync(join(folder, 'before', 'contracts', 'c1.yaml')).length
    return {
      bench: 'check',
      bars: [
        atMost(`wall time of treaty check, ${count} contracts, s`, 2, seconds[0]?.wall ?? null),
      ],
      rows,
      notes: [
        `${count} contracts of ${bytes} B in a file each: two events with examples, two consumers with needs`,
        'a process each time, from its start to its end; --against: a folder where every hundredth contract was another',
      ],
      details: seconds.map(
        ({ name, wall, user, system }) =>
          `${name}: ${wall.toFixed(2)} s wall, ${user.toFixed(2)} s user, ${system.toFixed(2)} s system`,
      ),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
