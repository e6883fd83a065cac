import { afterEach, describe, expect, it } from 'vitest'
import { TreatyError } from '../../src/core/errors.ts'
import {
  type BreakerOptions,
  createBreaker,
  createClient,
  createDependencyRegistry,
  createFallback,
  type ResilienceEvent,
} from '../../src/http/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { holds } from './law.ts'
import { sampleBreaker } from './seed-models.ts'

// Capabilities 5.G, rows 148 to 157: the circuit breaker and what answers in its place.

interface Breaker {
  readonly state: string
  run<T>(work: () => Promise<T>): Promise<T>
}
type Make = (options: { failures: number; openMs: number }, clock: FakeClock) => Breaker

const subjects: { readonly ours: Make; readonly seed: Make } = {
  ours: ({ failures, openMs }, clock) =>
    createBreaker({ consecutive: failures, openMs, probes: 1, clock, random: () => 0 }),
  seed: (options, clock) => sampleBreaker(options, () => clock.now()),
}
const lawOf = (law: (make: Make) => Promise<void>) => holds<Make>(law, subjects)

const down = new TreatyError('HTTP_STATUS', 'answered 503', { kind: 'http', status: 503 })
const fail = (breaker: Breaker, error: unknown = down) =>
  breaker.run(() => Promise.reject(error)).catch((thrown: TreatyError) => thrown)
const succeed = (breaker: Breaker) => breaker.run(() => Promise.resolve('fine'))
/** Work whose end a test decides. */
const held = () => Promise.withResolvers<string>()
const settled = (call: Promise<unknown>) => call.catch(() => undefined)

const own = (options: BreakerOptions, clock: FakeClock) =>
  createBreaker({ clock, random: () => 0, ...options })

describe('5.G Circuit breaker', () => {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  it('C148 opens by default after five failures, is one for each dependency, and reports two configurations', async () => {
    const clock = fakeClock()
    const breaker = own({}, clock)
    for (let n = 0; n < 4; n += 1) await fail(breaker)
    expect(breaker.state).toBe('closed')
    await fail(breaker)
    expect(breaker.state).toBe('open')
    for (const wrong of [{ consecutive: 0 }, { failureRate: 2 }, { openMs: 0 }, { probes: 1.5 }]) {
      expect(() => createBreaker(wrong)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
    const registry = createDependencyRegistry({ clock })
    const shop = registry.get('shop', { breaker: { consecutive: 2 } })
    expect(registry.get('shop')).toBe(shop)
    expect(registry.get('bank').breaker).not.toBe(shop.breaker)
    expect(() => registry.get('shop', { breaker: { consecutive: 3 } })).toThrow(
      expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
    )
  })

  it('C149 refuses at once when open, with a typed error that says until when, and counts nothing', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      const breaker = make({ failures: 2, openMs: 60_000 }, clock)
      await fail(breaker)
      await fail(breaker)
      await clock.advance(10_000)
      let calls = 0
      const error = await breaker
        .run(async () => {
          calls += 1
        })
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
      expect(calls).toBe(0)
      expect(error).toMatchObject({ kind: 'breaker_open', retryAfterMs: 50_000 })
    })
    const clock = fakeClock()
    const breaker = own({ consecutive: 1, openMs: 60_000 }, clock)
    await fail(breaker)
    for (let n = 0; n < 10; n += 1) await settled(succeed(breaker))
    const { rejected, retryAfterMs, consecutiveFailures } = breaker.snapshot()
    expect({ rejected, retryAfterMs, consecutiveFailures }).toEqual({
      rejected: 10,
      retryAfterMs: 60_000,
      consecutiveFailures: 1,
    })
  })

  it('C150 lets one of fifty through when half open, and refuses the others', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      const breaker = make({ failures: 1, openMs: 1000 }, clock)
      await fail(breaker)
      await clock.advance(1000)
      const probe = held()
      let admitted = 0
      const all = Array.from({ length: 50 }, () =>
        settled(
          breaker.run(() => {
            admitted += 1
            return probe.promise
          }),
        ),
      )
      await clock.tick()
      probe.resolve('fine')
      await Promise.all(all)
      expect(admitted).toBe(1)
    })
  })

  it('C151 closes after its probes have passed, reopens on one failure, for longer, and frees a place that is held', async () => {
    const clock = fakeClock()
    const breaker = own({ consecutive: 1, openMs: 1000, probes: 2, probeTimeoutMs: 500 }, clock)
    await fail(breaker)
    await clock.advance(1000)
    await succeed(breaker)
    expect(breaker.state).toBe('half_open')
    await succeed(breaker)
    expect(breaker.state).toBe('closed')

    await fail(breaker)
    await clock.advance(1000)
    await fail(breaker)
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 2000 })

    await clock.advance(2000)
    const hung = settled(breaker.run(() => held().promise, {}))
    await clock.advance(500)
    expect(breaker.state).toBe('open')
    await clock.advance(4000)
    for (let n = 0; n < 5; n += 1) {
      const controller = new AbortController()
      const probe = settled(breaker.run(() => held().promise, { signal: controller.signal }))
      controller.abort()
      await probe
    }
    // Probes that were cancelled gave no verdict and hold no place.
    await succeed(breaker)
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
    void hung
  })

  it('C152 ignores what ends after the state has changed', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      const breaker = make({ failures: 2, openMs: 60_000 }, clock)
      const slow = held()
      const stale = settled(breaker.run(() => slow.promise))
      await fail(breaker)
      await fail(breaker)
      slow.resolve('late')
      await stale
      expect(breaker.state).toBe('open')
    })
    await lawOf(async (make) => {
      const clock = fakeClock()
      const breaker = make({ failures: 1, openMs: 1000 }, clock)
      const slow = held()
      const stale = settled(breaker.run(() => slow.promise))
      await fail(breaker)
      await clock.advance(900)
      slow.reject(down)
      await stale
      await clock.advance(100)
      // The late failure must not have pushed the time of the probe.
      expect(await succeed(breaker).catch(() => 'refused')).toBe('fine')
    })
  })

  it('C153 opens on half of a thousand calls failing, though never twice in a row, and on no few calls', async () => {
    const everyOther = async (breaker: Breaker, calls: number) => {
      for (let n = 0; n < calls; n += 1) {
        await (n % 2 === 0 ? fail(breaker) : settled(succeed(breaker)))
      }
    }
    await holds<Make>(
      async (make) => {
        const breaker = make({ failures: 5, openMs: 60_000 }, fakeClock())
        await everyOther(breaker, 1000)
        expect(breaker.state).toBe('open')
      },
      {
        ours: ({ failures }, clock) =>
          own({ consecutive: failures, failureRate: 0.5, minCalls: 20 }, clock),
        seed: subjects.seed,
      },
    )
    const few = own({ failureRate: 0.5, minCalls: 20 }, fakeClock())
    await everyOther(few, 19)
    expect(few.state).toBe('closed')
  })

  it('C154 counts against a dependency only what speaks against it', async () => {
    const innocent = [
      new TreatyError('HTTP_STATUS', 'answered 404', { kind: 'http', status: 404 }),
      new TreatyError('HTTP_SCHEMA_MISMATCH', 'breaks its schema', { kind: 'schema' }),
      new TreatyError('HTTP_ABORTED', 'aborted', { kind: 'aborted' }),
      new TreatyError('BREAKER_OPEN', 'another one is open', { kind: 'breaker_open' }),
      new TreatyError('RATE_LIMITED', 'no turn', { kind: 'rate_limited' }),
    ]
    await lawOf(async (make) => {
      const breaker = make({ failures: 2, openMs: 60_000 }, fakeClock())
      for (const error of [...innocent, ...innocent]) await fail(breaker, error)
      expect(breaker.state).toBe('closed')
    })
    const clock = fakeClock()
    const slow = own({ minCalls: 2, failureRate: 1, slowCallMs: 100, slowRate: 0.5 }, clock)
    for (let n = 0; n < 2; n += 1) {
      const call = held()
      const running = slow.run(() => call.promise)
      await clock.advance(150)
      call.resolve('at last')
      await running
    }
    expect(slow.state).toBe('open')
  })

  it('C155 goes by a clock that never steps', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      const breaker = make({ failures: 1, openMs: 60_000 }, clock)
      await fail(breaker)
      // An operator sets the time two hours ahead.
      clock.set(clock.now() + 7_200_000)
      expect(await succeed(breaker).catch(() => 'refused')).toBe('refused')
    })
  })

  it('C156 answers by a fallback of each kind, visibly, and keeps the cause where that fails too', async () => {
    const events: ResilienceEvent[] = []
    const clock = fakeClock()
    const made = (options: object) =>
      createFallback({ clock, onEvent: (event) => events.push(event), ...options })
    const broken = () => Promise.reject(down)
    expect(await made({ value: 1 }).runMarked(broken)).toEqual({
      value: 1,
      degraded: { by: 'static', cause: down },
    })
    const cached = made({ cached: { maxAgeMs: 1000 } })
    await cached.run(() => Promise.resolve('good'))
    expect(await cached.runMarked(broken)).toMatchObject({
      value: 'good',
      degraded: { by: 'cached' },
    })
    await clock.advance(1001)
    await expect(cached.run(broken)).rejects.toMatchObject({ code: 'FALLBACK_FAILED', cause: down })
    expect(await made({ alternate: () => 'other' }).runMarked(broken)).toMatchObject({
      value: 'other',
      degraded: { by: 'alternate' },
    })
    expect(await made({ queue: () => 'later' }).runMarked(broken)).toMatchObject({
      value: 'later',
      degraded: { by: 'queued' },
    })
    expect(events.map(({ type }) => type)).toEqual([
      'fallback',
      'fallback',
      'fallback_failed',
      'fallback',
      'fallback',
    ])
    // In front of a client: the answer says so, and the counts too.
    const client = createClient({
      baseUrl: 'https://shop.test',
      retry: false,
      fallback: { value: { rate: 1 } },
      transport: { send: broken, close: () => Promise.resolve() },
    })
    closing.push(() => client.close())
    expect(await client.request({ method: 'GET', path: '/' })).toMatchObject({
      body: { rate: 1 },
      degraded: { by: 'static', cause: { status: 503 } },
    })
    expect(client.snapshot().events).toMatchObject({ fallback: 1 })
  })

  it('C157 tells of each change, can be opened and closed by hand, and takes a throw for a failure', async () => {
    const events: string[] = []
    const clock = fakeClock()
    const breaker = own(
      {
        consecutive: 1,
        openMs: 1000,
        probes: 1,
        name: 'shop',
        onEvent: (event) => {
          if (event.type === 'breaker_state')
            events.push(`${event.from}>${event.to} ${event.reason}`)
        },
      },
      clock,
    )
    await settled(
      breaker.run(() => {
        throw new Error('before there was a promise')
      }),
    )
    await clock.advance(1000)
    await succeed(breaker)
    breaker.open()
    await clock.advance(1_000_000)
    expect(breaker.snapshot()).toMatchObject({ state: 'open', isForced: true })
    breaker.close()
    await fail(breaker)
    breaker.reset()
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', calls: 0, rejected: 0 })
    expect(events).toEqual([
      'closed>open failures',
      'open>half_open time',
      'half_open>closed probe',
      'closed>open manual',
      'open>closed manual',
      'closed>open failures',
      'open>closed manual',
    ])
  })
})
