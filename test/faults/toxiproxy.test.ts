import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { defineContract, openBus, openTransport, systemClock } from '../../src/index.ts'
import { freshSchema } from '../conformance/postgres-place.ts'
import {
  type ServiceName,
  serviceUrl,
  startOwnService,
  withService,
} from '../conformance/service-url.ts'

const keys = Array.from({ length: 8 }, (_, at) => `account-${at}`)
/** What befalls the connections, one after the other: a kind of Toxiproxy with its attributes; null: nobody listens. */
const toxics: Readonly<Record<string, { type: string; attributes: object } | null>> = {
  'slow by 150 ms': { type: 'latency', attributes: { latency: 150, jitter: 100 } },
  'narrow, 40 kB a second': { type: 'bandwidth', attributes: { rate: 40 } },
  'in crumbs of 20 bytes': {
    type: 'slicer',
    attributes: { average_size: 20, size_variation: 10, delay: 20 },
  },
  'cut after 20 kB': { type: 'limit_data', attributes: { bytes: 20_000 } },
  reset: { type: 'reset_peer', attributes: { timeout: 0 } },
  'silent, half-open': { type: 'timeout', attributes: { timeout: 0 } },
  'gone, refused': null,
}
/** Milliseconds that each lasts. */
const lasts = 1500
/** Milliseconds within which messages must flow again: the longest lease or session, and waiting to connect again. */
const recovers = 45_000

interface Proxy {
  /** Host and port under which the broker is reached through it. */
  readonly host: string
  leadTo(upstream: string): Promise<void>
  suffer(toxic: { type: string; attributes: object } | null): Promise<void>
  recover(): Promise<void>
  remove(): Promise<void>
}

/** A proxy of the real Toxiproxy, on a free port. */
async function proxyAt(server: string, name: string): Promise<Proxy> {
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${server}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const made = await call('POST', '/proxies', {
    name,
    listen: '127.0.0.1:0',
    upstream: '127.0.0.1:1',
  })
  const place = `/proxies/${name}`
  let suffered: readonly string[] = []
  return {
    host: made.listen,
    leadTo: (upstream) => call('POST', place, { upstream }),
    async suffer(toxic) {
      if (toxic === null) return void (await call('POST', place, { enabled: false }))
      suffered = ['upstream', 'downstream']
      for (const stream of suffered) {
        await call('POST', `${place}/toxics`, { ...toxic, name: stream, stream })
      }
    },
    async recover() {
      for (const each of suffered) await call('DELETE', `${place}/toxics/${each}`)
      suffered = []
      await call('POST', place, { enabled: true })
    },
    remove: () => call('DELETE', place),
  }
}

const contractOf = (run: string) =>
  defineContract({
    id: `toxic.r${run}`,
    version: '1.0.0',
    purpose: 'Counts per account, so that a lost, doubled or overtaken message shows.',
    channels: { counts: { address: `toxic.${run}`, key: 'account', ordering: 'per-key' } },
    events: {
      'count.raised': {
        channel: 'counts',
        purpose: 'Sent when the count of an account has gone up by one.',
        schema: {
          type: 'object',
          required: ['account', 'count'],
          properties: { account: { type: 'string' }, count: { type: 'integer' } },
        },
      },
    },
    producers: { counter: { events: ['count.raised'] } },
    consumers: {
      watcher: {
        accepts: '^1.0.0',
        events: { 'count.raised': { needs: ['account', 'count'] } },
      },
    },
  })

/** Publishes and consumes at the same time, and keeps the books of both. */
async function openTraffic(url: string, run: string) {
  const bus = await openBus({ contracts: [contractOf(run)], transport: url, service: 'counter' })
  const confirmed = new Map<string, number[]>(keys.map((key) => [key, []]))
  const handled = new Map<string, number[]>(keys.map((key) => [key, []]))
  const problems = new Map<string, number>()
  let repeated = 0
  let ended = false
  await bus.consume('watcher', {
    'count.raised': ({ data }) => {
      const seen = handled.get(data.account) ?? []
      if (seen.includes(data.count)) repeated += 1
      else seen.push(data.count)
    },
  })
  const raise = async (account: string) => {
    for (let count = 1; !ended; count += 1) {
      try {
        await bus.publish('count.raised', { account, count })
        confirmed.get(account)?.push(count)
      } catch (error) {
        const { code = String(error) } = error as { code?: string }
        problems.set(code, (problems.get(code) ?? 0) + 1)
      }
      await sleep(10)
    }
  }
  const raising = keys.map(raise)
  const total = (books: ReadonlyMap<string, readonly number[]>) =>
    [...books.values()].reduce((sum, counts) => sum + counts.length, 0)
  return {
    confirmed,
    handled,
    note: () =>
      `${total(confirmed)} confirmed, ${repeated} repeated, refused ${JSON.stringify([...problems])}`,
    handledCount: () => total(handled),
    /** What was confirmed and has not been handled. */
    missing: () =>
      keys.flatMap((key) => {
        const seen = new Set(handled.get(key))
        return (confirmed.get(key) ?? []).filter((count) => !seen.has(count)).map((n) => [key, n])
      }),
    async end() {
      ended = true
      await Promise.all(raising)
    },
    close: () => bus.close({ drainMs: 1000 }),
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = systemClock.monotonic() + recovers
  while (!condition()) {
    if (systemClock.monotonic() > deadline) throw new Error(`in vain: ${what}`)
    await sleep(10)
  }
}

/** The URL of a broker that is reached through the proxy only; `stack` takes away what it needs. */
async function urlThrough(
  { proxy, stack }: { readonly proxy: Proxy; readonly stack: AsyncDisposableStack },
  name: ServiceName,
  shared: string,
): Promise<string> {
  const through = (url: string) => url.replace(new URL(url).host, proxy.host)
  if (name === 'kafka') {
    // Clients go where a Kafka broker says that it is.
    const folder = mkdtempSync(join(tmpdir(), 'treaty-toxic-'))
    const file = join(folder, 'properties')
    writeFileSync(file, `advertised.listeners=PLAINTEXT://${proxy.host}\n`)
    process.env.TREATY_KAFKA_PROPERTIES = file
    const own = await startOwnService('kafka').finally(() => {
      delete process.env.TREATY_KAFKA_PROPERTIES
      rmSync(folder, { recursive: true })
    })
    stack.defer(() => own.dispose())
    await proxy.leadTo(new URL(own.url).host)
    return through(own.url)
  }
  await proxy.leadTo(new URL(shared).host)
  if (name !== 'postgres') return through(shared)
  const place = freshSchema(shared)
  stack.defer(() => place.drop())
  return through(place.url)
}

/** What the run has made on a broker that others use, too. */
async function takeAway(url: string, run: string): Promise<void> {
  const transport = await openTransport(url)
  await transport.connect()
  try {
    const there = await transport.inventory?.()
    const own = <T extends { name?: string; address?: string }>(all: readonly T[] = []) =>
      all.map(({ name, address }) => name ?? address ?? '').filter((text) => text.includes(run))
    await transport.remove?.({
      subscriptions: [],
      groups: own(there?.groups),
      channels: own(there?.channels),
    })
  } finally {
    await transport.close({ drainMs: 0 })
  }
}

await withService('toxiproxy', (toxiproxy) => {
  for (const name of ['postgres', 'kafka', 'nats', 'rabbitmq', 'redis'] as const) {
    const shared = serviceUrl(name)
    describe.concurrent(`${name} behind Toxiproxy`, () => {
      // They wait for most of their time, so all of them at once.
      it.skipIf(shared === undefined)(
        'loses nothing that was confirmed, keeps the order of each key, and takes up again by itself after every fault',
        async () => {
          await using stack = new AsyncDisposableStack()
          const run = randomUUID().slice(0, 8)
          const proxy = await proxyAt(toxiproxy, `treaty-${run}`)
          stack.defer(() => proxy.remove())
          const url = await urlThrough({ proxy, stack }, name, shared as string)
          const traffic = await openTraffic(url, run)
          stack.defer(() => traffic.close())
          const took: Record<string, number> = {}
          for (const [what, toxic] of Object.entries(toxics)) {
            await proxy.suffer(toxic)
            await sleep(lasts)
            await proxy.recover()
            const since = systemClock.monotonic()
            const before = traffic.handledCount()
            await until(() => traffic.handledCount() > before, what)
            took[what] = Math.round(systemClock.monotonic() - since)
          }
          await traffic.end()
          await until(() => traffic.missing().length === 0, 'the last confirmed ones')
          console.log(`${name}: ${traffic.note()}; flowing again after ms ${JSON.stringify(took)}`)
          for (const key of keys) {
            const sure = new Set(traffic.confirmed.get(key))
            const came = (traffic.handled.get(key) ?? []).filter((count) => sure.has(count))
            expect(came).toEqual(came.toSorted((a, b) => a - b))
            expect(came.length).toBeGreaterThan(10)
          }
          await traffic.close()
          if (name !== 'kafka') await takeAway(url, run)
        },
      )
    })
  }
})
