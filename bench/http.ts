import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'
import got from 'got'
import { createClient } from 'treatyjs/http'
import { Agent, type Dispatcher, Pool, RetryAgent } from 'undici'
import { type BenchOptions, measureSides, type Side, timed } from './measure.ts'
import { atLeast, atMost, type Report } from './report.ts'

const concurrency = 50

interface Order {
  readonly id: string
}

/** One way of calling; gives the parsed body, which is looked at. */
interface Caller {
  readonly name: string
  /** Slow ones make fewer calls a round. */
  readonly share: number
  call(): Promise<unknown>
  close(): Promise<unknown> | void
}

async function serve(): Promise<{ readonly origin: string; stop(): void }> {
  const child = fork(fileURLToPath(new URL('./http-server.ts', import.meta.url)))
  const port = await new Promise<number>((resolve) =>
    child.once('message', (message) => resolve(message as number)),
  )
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.disconnect() }
}

const undiciRequest = (dispatcher: Dispatcher, origin: string) => async () => {
  const { body } = await dispatcher.request({ origin, path: '/orders/1', method: 'GET' })
  return await body.json()
}

function bare(origin: string): Caller {
  const pool = new Pool(origin, { connections: concurrency, allowH2: false })
  return {
    name: 'undici request, bare',
    share: 1,
    call: undiciRequest(pool, origin),
    close: () => pool.close(),
  }
}

/** Everything that a connector has, switched on. */
function treaty(origin: string): Caller {
  const client = createClient({
    baseUrl: origin,
    egress: { https: 'optional', privateNetworks: 'allow' },
    auth: { type: 'bearer', token: 'bench-token' },
    timeout: { attemptMs: 5000, totalMs: 20_000 },
    retry: { attempts: 4, baseMs: 200, capMs: 10_000 },
    breaker: { windowMs: 30_000, minCalls: 20, failureRate: 0.5, openMs: 30_000, probes: 3 },
    rateLimit: { ratePerSecond: 1_000_000, burst: 1_000_000 },
    bulkhead: { concurrent: concurrency, queue: 1000 },
    limits: { connections: concurrency },
  })
  return {
    name: 'Treaty, full stack',
    share: 1,
    call: async () => (await client.request({ method: 'GET', path: '/orders/1' })).body,
    close: () => client.close(),
  }
}

function treatyPlain(origin: string): Caller {
  const client = createClient({
    baseUrl: origin,
    egress: { https: 'optional', privateNetworks: 'allow' },
    limits: { connections: concurrency },
  })
  return {
    name: 'Treaty, defaults',
    share: 1,
    call: async () => (await client.request({ method: 'GET', path: '/orders/1' })).body,
    close: () => client.close(),
  }
}

/** The same policies as ours, as far as it has them; the timeout as its documentation advises for calls that obey a signal. */
function cockatiel(origin: string): Caller {
  const pool = new Pool(origin, { connections: concurrency, allowH2: false })
  const policy = wrap(
    retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: new ConsecutiveBreaker(20) }),
    bulkhead(concurrency, 1000),
    timeout(5000, TimeoutStrategy.Aggressive),
  )
  return {
    name: 'cockatiel (retry, breaker, bulkhead, timeout) + undici',
    share: 0.5,
    call: () =>
      policy.execute(async ({ signal }) => {
        const { body } = await pool.request({ path: '/orders/1', method: 'GET', signal })
        return await body.json()
      }),
    close: () => pool.close(),
  }
}

function retryAgent(origin: string): Caller {
  const agent = new RetryAgent(new Agent({ connections: concurrency, allowH2: false }), {
    maxRetries: 3,
  })
  return {
    name: 'undici RetryAgent',
    share: 1,
    call: undiciRequest(agent, origin),
    close: () => agent.close(),
  }
}

function gotClient(origin: string): Caller {
  const client = got.extend({ retry: { limit: 3 }, timeout: { request: 20_000 } })
  return {
    name: 'got (retry, timeout)',
    share: 0.15,
    call: () => client(`${origin}/orders/1`).json(),
    close: () => undefined,
  }
}

function side(caller: Caller, calls: number): Side {
  const count = Math.max(concurrency, Math.round(calls * caller.share))
  return {
    name: caller.name,
    round: () =>
      timed(count, async () => {
        const latencies: number[] = []
        let left = count
        const worker = async () => {
          while (left > 0) {
            left -= 1
            const begunAt = performance.now()
            const order = (await caller.call()) as Order
            if (order.id !== 'ord-1001') throw new Error(`${caller.name} got another answer`)
            latencies.push(performance.now() - begunAt)
          }
        }
        await Promise.all(Array.from({ length: concurrency }, worker))
        return latencies
      }),
  }
}

/** The outbound client with everything switched on against the bare one, and against what people use in its place. */
export async function bench(options: BenchOptions): Promise<Report> {
  const { origin, stop } = await serve()
  const callers = [bare, treaty, treatyPlain, cockatiel, retryAgent, gotClient].map((make) =>
    make(origin),
  )
  const calls = options.isSmoke ? 200 : 20_000
  const reference = 'undici request, bare'
  const rows = await measureSides(
    callers.map((caller) => side(caller, calls)),
    { rounds: options.isSmoke ? 1 : options.rounds, reference },
  )
  await Promise.all(callers.map((caller) => caller.close()))
  stop()
  const row = (name: string) => rows.find((each) => each.name === name)
  const ours = row('Treaty, full stack')
  const cpu = (name: string) => row(name)?.cpuMicros ?? Number.NaN
  return {
    bench: 'http',
    bars: [
      atLeast('calls, full stack ÷ bare undici request', 0.8, ours?.ratio ?? null),
      atMost(
        'CPU, full stack ÷ bare undici request',
        1.3,
        cpu('Treaty, full stack') / cpu(reference),
      ),
    ],
    rows,
    notes: [
      `${concurrency} calls at a time on ${concurrency} kept connections, ${calls} a round; the server is a process of its own`,
      'full stack: credential, deadline, retry with budget, breaker, rate limit, bulkhead, attempt timeout, parsing; every side parses the JSON',
      'CPU of the calling process only',
    ],
  }
}
