import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { delay, systemClock } from '../../src/core/clock.ts'

const root = join(import.meta.dirname, '..', '..')

const contract = `treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells every service that an order was placed.
channels:
  orders: { address: shop.orders, key: orderId, ordering: per-key }
events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid, so that billing can start.
    schema: { type: object, required: [orderId], properties: { orderId: { type: string } } }
producers:
  order-service: {}
consumers:
  billing:
    accepts: ^1.0.0
    events: { order.placed: { needs: [orderId], handling: Creates one invoice per order. } }
`
const feed = `export async function run({ bus, report }) {
  await bus.publish('order.placed', { orderId: 'o-1' })
  report('one order placed')
}
`
const handlersSaying = (text: string) =>
  `export const handlers = { billing: { 'order.placed': async ({ data }) => { console.log('${text}', data.orderId) } } }\n`
const config = (more = '') => `handlers: handlers.mjs
feeds: { orders: { module: feed.mjs, as: order-service } }
${more}`

interface Run {
  readonly child: ChildProcess
  /** Everything that was printed so far. */
  text(): string
  until(pattern: RegExp): Promise<RegExpExecArray>
  readonly ended: Promise<number | string>
}

let folder = ''
const runs: Run[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-start-'))
  mkdirSync(join(folder, 'contracts'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules', 'treatyjs'))
  write('contracts/orders.yaml', contract)
  write('handlers.mjs', handlersSaying('invoice'))
  write('feed.mjs', feed)
  write('treaty.config.yaml', config())
})
afterEach(async () => {
  for (const { child } of runs) child.kill('SIGKILL')
  await Promise.all(runs.splice(0).map((run) => run.ended))
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

function write(path: string, text: string): void {
  writeFileSync(join(folder, path), text)
}

function treaty(...args: readonly string[]): Run {
  const child = spawn(process.execPath, [join(root, 'bin', 'treaty.js'), ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1' },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
  }
  const run: Run = {
    child,
    text: () => text,
    async until(pattern) {
      const deadline = systemClock.monotonic() + 30_000
      for (;;) {
        const match = pattern.exec(text)
        if (match) return match
        if (systemClock.monotonic() > deadline || child.exitCode !== null) {
          throw new Error(`${pattern} was not printed:\n${text}`)
        }
        await delay(systemClock, 25)
      }
    },
    ended: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve(signal ?? code ?? -1))
    }),
  }
  runs.push(run)
  return run
}

const urlOf = async (run: Run) => (await run.until(/ready (http:\S+)/))[1] ?? ''
const stackTrace = /\n\s+at .*\.(js|ts):\d+/

describe('treaty start', () => {
  test('runs feeds and handlers, serves, comes to rest, and drains on SIGTERM', async () => {
    const run = treaty('start', '--port', '0')
    const url = await urlOf(run)
    await run.until(/orders +→ one order placed/)
    await run.until(/invoice o-1/)
    await run.until(/At rest: nothing waits/)
    const stats = (await (await fetch(`${url}/api/stats`)).json()) as { handled: number }
    expect(stats.handled).toBe(1)
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(run.text()).toContain('drained: 1 published · 1 handled · 0 dead · nothing waits')
    expect(run.text()).not.toMatch(stackTrace)
  })

  test('a port that is taken is exit 6, in one sentence, and touches nothing else', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const run = treaty('start', '--port', String(port), '--store', 'other.db', '--fresh')
    expect(await run.ended).toBe(6)
    expect(run.text()).toContain(`port ${port} on 127.0.0.1 is in use by another process`)
    expect(run.text()).not.toMatch(stackTrace)
    expect(existsSync(join(folder, 'other.db'))).toBe(false)
    await new Promise((resolve) => taken.close(resolve))
  })

  test.each<[string, () => void, number, RegExp]>([
    [
      'a handler module that is not there',
      () => write('treaty.config.yaml', config().replace('handlers.mjs', 'nope.mjs')),
      2,
      /nope\.mjs cannot be used: there is no such file/,
    ],
    [
      'a handler module without handlers',
      () => write('handlers.mjs', 'export const nothing = 1\n'),
      2,
      /handlers\.mjs cannot be used: it exports no `handlers`/,
    ],
    [
      'a handler for a consumer that nobody knows',
      () => write('handlers.mjs', handlersSaying('x').replace('billing', 'biling')),
      4,
      /biling/,
    ],
    [
      'a contract with mistakes',
      () => write('contracts/orders.yaml', contract.replace('key: orderId', 'key: orderID')),
      3,
      /orders\.yaml:6/,
    ],
    [
      'another host without keys',
      () => write('treaty.config.yaml', config('server: { host: 0.0.0.0 }\n')),
      5,
      /no API keys are configured/,
    ],
  ])('%s ends it with a sentence', async (_what, spoil, code, pattern) => {
    spoil()
    const run = treaty('start', '--port', '0')
    expect(await run.ended).toBe(code)
    expect(run.text()).toMatch(pattern)
    expect(run.text()).not.toMatch(stackTrace)
  })

  test('a second signal ends it at once, though a handler never returns', async () => {
    write(
      'handlers.mjs',
      "export const handlers = { billing: { '*': () => { console.log('hanging'); return new Promise(() => {}) } } }\n",
    )
    const run = treaty('start', '--port', '0')
    await run.until(/hanging/)
    run.child.kill('SIGINT')
    await run.until(/stopping/)
    const at = systemClock.monotonic()
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(systemClock.monotonic() - at).toBeLessThan(5000)
  })

  test('--fresh puts the old store aside and begins anew', async () => {
    for (const args of [[], [], ['--fresh']]) {
      const run = treaty('start', '--port', '0', ...args)
      await run.until(/At rest: nothing waits/)
      run.child.kill('SIGINT')
      expect(await run.ended).toBe(0)
      if (args.length > 0) expect(run.text()).toMatch(/treaty\.db was put aside as treaty\.db\.old/)
    }
    const last = runs.at(-1)?.text()
    expect(last).toContain('drained: 1 published')
    expect(runs.at(-2)?.text()).toContain('drained: 2 published')
  })
})

describe('treaty serve', () => {
  test('answers, and runs neither handlers nor feeds', async () => {
    const run = treaty('serve', '--port', '0')
    const url = await urlOf(run)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    const { items } = (await (await fetch(`${url}/api/contracts`)).json()) as {
      items: { id: string }[]
    }
    expect(items.map(({ id }) => id)).toEqual(['shop.orders'])
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(0)
    expect(run.text()).toContain('drained: 0 published')
  })
})

describe('treaty dev', () => {
  test('runs changed handlers without a restart, and keeps what runs when a change is wrong', async () => {
    const run = treaty('dev', '--port', '0')
    const url = await urlOf(run)
    await run.until(/invoice o-1/)
    write('handlers.mjs', handlersSaying('bill'))
    await run.until(/reload +✓ done/)
    await run.until(/bill o-1/)
    write('contracts/orders.yaml', `${contract}  : - [\n`)
    await run.until(/reload +✗ the contracts have .*; what ran goes on/)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(0)
  })
})
