import { describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { openStore } from '../../store/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import type { CallRequest, CallResponse } from '../client/call.ts'
import { type CallQueueOptions, createCallQueue } from './call-queue.ts'

const ok: CallResponse = { status: 200, headers: {}, body: null, attempts: 1 }
const refused = (status: number, retryAfterMs?: number) =>
  new TreatyError('HTTP_STATUS', `answered ${status}`, {
    kind: 'http',
    status,
    retryable: status >= 500,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
const notMade = new TreatyError('BREAKER_OPEN', 'open', { kind: 'breaker_open', attempts: 0 })
const mayBeDone = new TreatyError('HTTP_TIMEOUT', 'slow', { kind: 'timeout', attempts: 1 })

async function scene(send: CallQueueOptions['send']) {
  const store = await openStore('memory:')
  const clock = fakeClock()
  const options = { store, name: 'shop', clock, random: () => 1, attempts: 3, send }
  return { store, clock, options, queue: createCallQueue(options) }
}

describe('createCallQueue', () => {
  it('sends in order what waits, each with one key over all attempts, and stops at one that fails', async () => {
    const seen: CallRequest[] = []
    let isDown = true
    const { queue, clock } = await scene(async (request) => {
      seen.push(request)
      if (isDown) throw refused(503, 7000)
      return ok
    })
    await queue.add({ method: 'POST', path: '/a', body: { n: 1 } }, notMade)
    await queue.add({ method: 'POST', path: '/b', headers: new Headers({ 'X-Own': 'y' }) }, notMade)

    expect(await queue.drain()).toEqual({ sent: 0, putAside: 0, waiting: 2 })
    expect(seen.map(({ path }) => path)).toEqual(['/a'])
    expect(await queue.waiting()).toMatchObject([
      { path: '/a', attempts: 1, reason: 'answered 503', dueAt: clock.now() + 7000 },
      { path: '/b', attempts: 0 },
    ])

    isDown = false
    await clock.advance(6999)
    expect(await queue.drain()).toMatchObject({ sent: 0, waiting: 2 })
    await clock.advance(1)
    expect(await queue.drain()).toEqual({ sent: 2, putAside: 0, waiting: 0 })
    const [first, again, second] = seen
    expect(again).toMatchObject({ path: '/a', body: { n: 1 }, fallback: false })
    expect(again?.idempotencyKey).toBe(first?.idempotencyKey)
    expect(second).toMatchObject({ headers: { 'x-own': 'y' } })
    expect(second?.idempotencyKey).not.toBe(first?.idempotencyKey)
  })

  it('puts aside what is refused for good or out of attempts, and lets it wait again on replay', async () => {
    const { queue } = await scene(({ path }) =>
      Promise.reject(refused(path === '/bad' ? 422 : 500)),
    )
    await queue.add({ method: 'PUT', path: '/bad' }, mayBeDone)
    expect(await queue.drain()).toEqual({ sent: 0, putAside: 1, waiting: 0 })
    const [aside] = await queue.putAside()
    expect(aside).toMatchObject({ path: '/bad', attempts: 1, reason: 'answered 422' })

    expect(await queue.replay(aside?.id ?? '')).toBe(true)
    expect(await queue.waiting()).toMatchObject([{ path: '/bad', attempts: 0 }])
    expect(await queue.putAside()).toEqual([])
    await queue.drain()
    expect(await queue.discard(aside?.id ?? '')).toBe(true)
    expect(await queue.replay(aside?.id ?? '')).toBe(false)

    await queue.add({ method: 'PUT', path: '/down' }, mayBeDone)
    for (const putAside of [0, 0, 1]) {
      expect(await queue.drain({ isForced: true })).toMatchObject({ putAside })
    }
  })

  it('keeps nothing that may have been done and must not be done twice, nor what cannot be kept', async () => {
    const { queue } = await scene(() => Promise.resolve(ok))
    const notKept = expect.objectContaining({ code: 'CALL_NOT_KEPT' })

    await expect(queue.add({ method: 'POST', path: '/' }, mayBeDone)).rejects.toEqual(notKept)
    const bytes = { method: 'PUT', path: '/', body: new Uint8Array(3) }
    await expect(queue.add(bytes, notMade)).rejects.toEqual(notKept)
    await queue.add({ method: 'POST', path: '/', idempotencyKey: 'k' }, mayBeDone)
    await queue.add({ method: 'POST', path: '/', idempotent: true }, mayBeDone)
    expect(await queue.waiting()).toHaveLength(2)
  })

  it('is drained by one process at a time, and by itself once started', async () => {
    const held = Promise.withResolvers<CallResponse>()
    let calls = 0
    const { queue, options, clock } = await scene(() => {
      calls += 1
      return held.promise
    })
    await queue.add({ method: 'PUT', path: '/' }, notMade)
    const first = queue.drain()
    expect(await createCallQueue(options).drain()).toBeUndefined()
    held.resolve(ok)
    expect(await first).toMatchObject({ sent: 1 })

    queue.start()
    await queue.add({ method: 'PUT', path: '/' }, notMade)
    await clock.advance(1000)
    expect(calls).toBe(2)
    await queue.stop()
    expect(clock.pending()).toBe(0)
  })

  it('stops after the call that is being made, however many wait', async () => {
    const held = Promise.withResolvers<CallResponse>()
    const { queue, options, clock } = await scene(() => held.promise)
    const told: unknown[] = []
    const draining = createCallQueue({ ...options, onDrained: (drained) => told.push(drained) })
    for (const path of ['/1', '/2', '/3']) await queue.add({ method: 'PUT', path }, notMade)

    draining.start()
    await clock.advance(1000)
    const stopped = draining.stop()
    held.resolve(ok)
    await stopped
    expect((await queue.waiting()).map(({ path }) => path)).toEqual(['/2', '/3'])
    expect(told).toEqual([{ sent: 1, putAside: 0, waiting: 2 }])
  })
})
