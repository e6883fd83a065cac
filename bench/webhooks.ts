import { type ChildProcess, fork } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from 'treatyjs'
import { createSender, type Sender, type SenderEvent, sign } from 'treatyjs/webhooks'
import { Pool } from 'undici'
import { type BenchOptions, measureSides, type Round, type Side, timed } from './measure.ts'
import { scratchFolder } from './peers.ts'
import { atLeast, atMost, type Bar, type Report, type Row } from './report.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const connections = 64
const bodyBytes = 2048

/** The bar of the ingest is against this one. */
const bareIn = 'in: fastify + HMAC, nothing stored'
const bareOut = 'out: HMAC + undici, nothing stored'
const calm = 'fan-out: 1 000 endpoints, none hangs'
const hanging = 'fan-out: 1 000 endpoints, 50 hang'

/** Webhooks in and out against the same by hand, and endpoints that hang beside those that do not. */
export async function bench(options: BenchOptions): Promise<Report> {
  const scratch = scratchFolder()
  const open: { close(): Promise<void> | void }[] = []
  const track = <T extends { close(): Promise<void> | void }>(one: T): T => {
    open.push(one)
    return one
  }
  const count = options.isSmoke ? 200 : 5000
  const at = (name: string) => join(scratch.path, name)
  try {
    const sink = track(await serve('sink', ''))
    const inbound = [
      track(await inboundSide(bareIn, { mode: 'bare', file: '', count })),
      track(await inboundSide('in: fastify + verify', { mode: 'verify', file: '', count })),
      track(
        await inboundSide('in: Treaty, stored durably, by claims', {
          mode: 'claims',
          file: at('claims.db'),
          count,
        }),
      ),
      track(
        await inboundSide('in: Treaty, stored durably', {
          mode: 'receiver',
          file: at('in.db'),
          count,
        }),
      ),
    ]
    const outbound = [
      track(bareSender(bareOut, sink, count)),
      track(await senderSide('out: Treaty, store in memory', { sink, count, store: 'memory:' })),
      track(
        await senderSide('out: Treaty, stored durably', {
          sink,
          count,
          store: `sqlite:${at('out.db')}`,
        }),
      ),
    ]
    const fanOut = [
      track(
        await fanOutSide(calm, { sink, hang: 0, isSmoke: options.isSmoke, file: at('calm.db') }),
      ),
      track(
        await fanOutSide(hanging, {
          sink,
          hang: 50,
          isSmoke: options.isSmoke,
          file: at('hang.db'),
        }),
      ),
    ]
    const { rounds } = options
    const rows = [
      ...(await measureSides(inbound, { rounds, reference: bareIn })),
      ...(await measureSides(outbound, { rounds, reference: bareOut })),
      ...(await measureSides(fanOut, { rounds, reference: calm })),
    ]
    return { bench: 'webhooks', rows, bars: barsOf(rows), notes }
  } finally {
    for (const one of open.reverse()) await one.close()
    scratch.remove()
  }
}

const notes = [
  `in: POST of ${bodyBytes} B, ${connections} connections, server in a process of its own; stored: in SQLite with synchronous FULL, payload validated, duplicates recognised by the bus; by claims: two more writes with NORMAL`,
  `out: ${bodyBytes} B to a server in a process of its own, ${connections} at a time; stored: message, delivery and log in SQLite with synchronous FULL`,
  'fan-out: each message to 1 000 endpoints at as many addresses; the time is from send() to the answer, of endpoints that do not hang',
]

function barsOf(rows: readonly Row[]): Bar[] {
  const find = (name: string) => rows.find((row) => row.name === name)
  const [quiet, disturbed] = [find(calm)?.p99Ms, find(hanging)?.p99Ms]
  return [
    atLeast(
      'webhook in, stored ÷ fastify + HMAC',
      0.35,
      find('in: Treaty, stored durably')?.ratio ?? null,
    ),
    atLeast(
      'webhook in, verified ÷ fastify + HMAC',
      0.9,
      find('in: fastify + verify')?.ratio ?? null,
    ),
    atMost(
      'p99 of the others, 50 of 1 000 hang ÷ none hangs',
      1.1,
      quiet && disturbed ? disturbed / quiet : null,
    ),
  ]
}

interface Served {
  readonly port: number
  cpuMicros(): Promise<number>
  close(): void
}

async function serve(mode: string, file: string): Promise<Served> {
  const script = fileURLToPath(new URL('./webhooks-server.ts', import.meta.url))
  const child: ChildProcess = fork(script, [mode, file])
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return {
    port,
    async cpuMicros() {
      child.send('cpu')
      const [{ cpuMicros }] = (await once(child, 'message')) as [{ cpuMicros: number }]
      return cpuMicros
    },
    close: () => child.disconnect(),
  }
}

/** A round with the CPU time of the server added to ours. */
async function withServer(served: Served, work: () => Promise<Round>): Promise<Round> {
  const before = await served.cpuMicros()
  const round = await work()
  const cpuMicros = round.cpuMicros + (await served.cpuMicros()) - before
  return { ...round, cpuMicros }
}

function bodyOf(n: number): Buffer {
  const text = { type: 'payment.made', data: { paymentId: `p-${n}`, amount: n, note: '' } }
  const room = bodyBytes - JSON.stringify(text).length
  return Buffer.from(JSON.stringify({ ...text, data: { ...text.data, note: 'x'.repeat(room) } }))
}

/** Runs `work` for each number, so many at a time; the milliseconds of each. */
async function pooled(count: number, atOnce: number, work: (n: number) => Promise<void>) {
  const latencies: number[] = []
  let next = 0
  const worker = async () => {
    for (let n = next++; n < count; n = next++) {
      const begunAt = performance.now()
      await work(n)
      latencies.push(performance.now() - begunAt)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return latencies
}

async function inboundSide(
  name: string,
  { mode, file, count }: { mode: string; file: string; count: number },
): Promise<Side & { close(): Promise<void> }> {
  const served = await serve(mode, file)
  const pool = new Pool(`http://127.0.0.1:${served.port}`, { connections })
  let roundNumber = 0
  return {
    name,
    async round() {
      roundNumber += 1
      // Signed before the clock runs: this is about the receiver.
      const requests = Array.from({ length: count }, (_, n) => {
        const body = bodyOf(n)
        const headers = sign({
          scheme: 'standard-webhooks',
          secrets: [secret],
          id: `msg_${roundNumber}_${n}`,
          timestamp: new Date(),
          rawBody: body,
        })
        return { body, headers: { 'content-type': 'application/json', ...headers } }
      })
      return withServer(served, () =>
        timed(count, () =>
          pooled(count, connections, async (n) => {
            const { body, headers } = requests[n] as (typeof requests)[number]
            const answer = await pool.request({ path: '/hooks/psp', method: 'POST', headers, body })
            await answer.body.dump()
            if (answer.statusCode !== 200) throw new Error(`${name} answered ${answer.statusCode}`)
          }),
        ),
      )
    },
    async close() {
      await pool.close()
      served.close()
    },
  }
}

function bareSender(name: string, sink: Served, count: number): Side & { close(): Promise<void> } {
  const pool = new Pool(`http://127.0.0.1:${sink.port}`, { connections })
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  return {
    name,
    round: () =>
      withServer(sink, () =>
        timed(count, () =>
          pooled(count, connections, async (n) => {
            const body = bodyOf(n)
            const seconds = Math.floor(Date.now() / 1000)
            const signature = createHmac('sha256', key)
              .update(`msg_${n}.${seconds}.`)
              .update(body)
              .digest('base64')
            const headers = {
              'content-type': 'application/json',
              'webhook-id': `msg_${n}`,
              'webhook-timestamp': String(seconds),
              'webhook-signature': `v1,${signature}`,
            }
            const answer = await pool.request({ path: '/', method: 'POST', headers, body })
            await answer.body.dump()
          }),
        ),
      ),
    close: () => pool.close(),
  }
}

/** A sender, and a way to wait for the deliveries of messages. */
async function openSender(file: string) {
  const store = await openStore(file)
  const waiting = new Map<string, () => void>()
  const listeners = new Set<(event: SenderEvent) => void>()
  const sender = await createSender({
    store,
    egress: { https: 'optional', privateNetworks: 'allow', ports: 'any' },
    onEvent(event) {
      if (event.kind === 'problem') throw event.error
      if (event.kind === 'attempt' && event.outcome === 'delivered')
        waiting.get(event.messageId)?.()
      for (const listener of listeners) listener(event)
    },
  })
  return {
    sender,
    waiting,
    listeners,
    async close() {
      await sender.close({ drainMs: 0 })
      await store.close()
    },
  }
}

async function senderSide(
  name: string,
  { sink, count, store }: { sink: Served; count: number; store: string },
): Promise<Side & { close(): Promise<void> }> {
  const { sender, waiting, close } = await openSender(store)
  await sender.endpoints.add({
    url: `http://127.0.0.1:${sink.port}/`,
    secret,
    concurrency: connections,
  })
  let id = 0
  return {
    name,
    close,
    round: () =>
      withServer(sink, () =>
        timed(count, () =>
          pooled(count, connections, async (n) => {
            const messageId = `m-${id++}`
            const delivered = new Promise<void>((resolve) => waiting.set(messageId, resolve))
            await sender.send({ type: 'payment.made', body: bodyOf(n), id: messageId })
            await delivered
            waiting.delete(messageId)
          }),
        ),
      ),
  }
}

interface FanOut {
  readonly sink: Served
  /** How many of the thousand never answer. */
  readonly hang: number
  readonly isSmoke: boolean
  readonly file: string
}

async function fanOutSide(
  name: string,
  { sink, hang, isSmoke, file }: FanOut,
): Promise<Side & { close(): Promise<void> }> {
  const opened = await openSender(`sqlite:${file}`)
  const { sender } = opened
  for (let n = 0; n < 1000; n += 1) {
    // As many origins as endpoints, as in life.
    const host = `127.0.${1 + Math.floor(n / 200)}.${1 + (n % 200)}`
    const path = n < hang ? '/hang' : '/'
    await sender.endpoints.add({ url: `http://${host}:${sink.port}${path}`, secret })
  }
  const messages = isSmoke ? 2 : 8
  return {
    name,
    async close() {
      await opened.close()
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
    },
    round: () =>
      withServer(sink, () =>
        timed(messages * (1000 - hang), async () => {
          const latencies: number[] = []
          for (let n = 0; n < messages; n += 1) {
            latencies.push(...(await fanOut(sender, opened.listeners, 1000 - hang)))
          }
          return latencies
        }),
      ),
  }
}

/** Sends one message and waits for those who answer; the milliseconds of each delivery. */
async function fanOut(
  sender: Sender,
  listeners: Set<(event: SenderEvent) => void>,
  expected: number,
): Promise<number[]> {
  const latencies: number[] = []
  const all = Promise.withResolvers<void>()
  const begunAt = performance.now()
  const id = `f-${begunAt.toString().replace('.', '-')}`
  const onEvent = (event: SenderEvent) => {
    if (event.kind !== 'attempt' || event.messageId !== id || event.outcome !== 'delivered') return
    latencies.push(performance.now() - begunAt)
    if (latencies.length === expected) all.resolve()
  }
  listeners.add(onEvent)
  await sender.send({ type: 'payment.made', body: bodyOf(1), id })
  await all.promise
  listeners.delete(onEvent)
  return latencies
}
