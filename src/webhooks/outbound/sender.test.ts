import { describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { verify } from '../verify.ts'
import { hostsOf, idOf, status, worldOn } from './outbound.test.kit.ts'
import type { PostRequest, PostResult } from './post.ts'
import type { SenderOptions } from './sender-options.ts'

const world = (more: Partial<SenderOptions> = {}) => worldOn(fakeClock(), more)
const minuteMs = 60_000
const hourMs = 3_600_000

describe('a message', () => {
  it('goes to each endpoint that subscribes to its type, signed with the secret of each, under one id', async () => {
    const { sender, clock, requests } = await world()
    const a = await sender.endpoints.add({ url: 'https://a.example/h', events: ['order.*'] })
    await sender.endpoints.add({ url: 'https://b.example/h', events: ['invoice.#'] })
    const c = await sender.endpoints.add({ url: 'https://c.example/h', algorithm: 'ed25519' })

    const sent = await sender.send({ type: 'order.placed', data: { orderId: 'o-1' } })
    await clock.advance(10)

    expect(sent).toMatchObject({ endpoints: 2, isDuplicate: false })
    expect(hostsOf(requests).toSorted()).toEqual(['a.example', 'c.example'])
    expect(new Set(requests.map(idOf))).toEqual(new Set([sent.id]))
    for (const request of requests) {
      const { secret } = request.url.includes('a.example') ? a : c
      const verdict = verify({
        scheme: 'standard-webhooks',
        secrets: [secret],
        headers: request.headers,
        rawBody: request.body,
        now: new Date(clock.now()),
      })
      expect(verdict).toMatchObject({ ok: true, id: sent.id })
      expect(JSON.parse(Buffer.from(request.body).toString())).toEqual({
        type: 'order.placed',
        timestamp: '2026-01-01T00:00:00.000Z',
        data: { orderId: 'o-1' },
      })
    }
    await sender.close()
  })

  it('sent twice under one id is delivered once', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })

    expect((await sender.send({ type: 'x', data: 1, id: 'm-1' })).isDuplicate).toBe(false)
    await clock.advance(10)
    expect((await sender.send({ type: 'x', data: 1, id: 'm-1' })).isDuplicate).toBe(true)
    await clock.advance(10)

    expect(requests).toHaveLength(1)
    await sender.close()
  })

  it('goes as the bytes that were given, UTF-8 or not', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })
    const bodies = [Buffer.from([0xff, 0x00, 0xfe]), Buffer.from('\ufeff{"a": 1.0}')]

    for (const body of bodies) await sender.send({ type: 'x', body, contentType: 'application/x' })
    await clock.advance(10)

    expect(requests.map(({ body }) => Buffer.from(body))).toEqual(bodies)
    expect(requests[0]?.headers['content-type']).toBe('application/x')
    await sender.close()
  })

  it('above the size cap becomes a thin event, and its whole body can be fetched', async () => {
    const { sender, clock, requests } = await world({
      bodyBytesMax: 100,
      hrefOf: (id) => `https://api.example/m/${id}`,
    })
    await sender.endpoints.add({ url: 'https://a.example/h' })

    const { id } = await sender.send({ type: 'x', data: 'y'.repeat(200) })
    await clock.advance(10)

    expect(JSON.parse(Buffer.from(requests[0]?.body ?? '').toString())).toMatchObject({
      type: 'x',
      thin: true,
      data: { id, href: `https://api.example/m/${id}` },
    })
    const whole = await sender.message(id)
    expect(JSON.parse(Buffer.from(whole?.body ?? '').toString())).toMatchObject({
      data: 'y'.repeat(200),
    })
    await sender.close()
    const strict = await world({ bodyBytesMax: 100, oversize: 'refuse' })
    await expect(strict.sender.send({ type: 'x', data: 'y'.repeat(200) })).rejects.toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
    })
    await strict.sender.close()
  })

  it('is refused where no contract has its type, or its data is not what the contract says', async () => {
    const contract = defineContract({
      treaty: 1,
      id: 'shop.orders',
      version: '1.0.0',
      status: 'active',
      purpose: 'Orders for partners.',
      owner: { team: 'shop' },
      pattern: 'pub-sub',
      envelope: 'treaty',
      channels: { orders: { address: 'shop.orders' } },
      events: {
        'order.placed': {
          channel: 'orders',
          purpose: 'An order.',
          schema: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } },
        },
      },
      producers: { shop: {} },
      consumers: { partner: { accepts: '^1.0.0', events: { 'order.placed': { needs: ['id'] } } } },
    })
    const { sender } = await world({ contracts: [contract] })

    await expect(sender.send({ type: 'order.plcaed', data: {} })).rejects.toMatchObject({
      code: 'UNKNOWN_EVENT',
    })
    await expect(sender.send({ type: 'order.placed', data: { id: 1 } })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
    })
    expect((await sender.send({ type: 'order.placed', data: { id: 'o' } })).endpoints).toBe(0)
    expect(sender.catalogue()).toMatchObject([
      { type: 'order.placed', purpose: 'An order.', version: '1.0.0' },
    ])
    await sender.close()
  })
})

describe('a failure', () => {
  it('is tried again on the schedule, with the same id and body and a new timestamp and signature', async () => {
    const { sender, clock, requests, answers, events } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', 500)
    const begunAt = clock.now()
    const times: number[] = []
    answers.set('a.example', () => {
      times.push(clock.now() - begunAt)
      return status(500)
    })

    await sender.send({ type: 'x', data: 1 })
    await clock.advance(40 * hourMs)

    const waits = [
      5000,
      5 * minuteMs,
      30 * minuteMs,
      2 * hourMs,
      5 * hourMs,
      10 * hourMs,
      10 * hourMs,
    ]
    expect(times).toEqual([
      0,
      ...waits.map((_, at) => waits.slice(0, at + 1).reduce((sum, one) => sum + one, 0)),
    ])
    expect(new Set(requests.map(idOf)).size).toBe(1)
    expect(new Set(requests.map(({ body }) => Buffer.from(body).toString())).size).toBe(1)
    expect(new Set(requests.map(({ headers }) => headers['webhook-signature'])).size).toBe(8)
    expect(events.filter(({ kind }) => kind === 'exhausted')).toHaveLength(1)
    await sender.close()
  })

  it.each<[string, PostResult, number]>([
    ['a redirect', status(302, { location: 'https://b.example/' }), 5000],
    ['429', status(429), minuteMs],
    ['502', status(502), minuteMs],
    ['a timeout', { failure: 'timeout', message: '' }, minuteMs],
    ['a lost connection', { failure: 'network', message: '' }, 5000],
    ['503 with Retry-After', status(503, { 'retry-after': '120' }), 120_000],
    ['Retry-After beyond an hour', status(503, { 'retry-after': '86400' }), hourMs],
    ['a Retry-After that is shorter', status(503, { 'retry-after': '1' }), 5000],
  ])('%s: not followed, and tried again when it is due', async (_name, result, waitMs) => {
    const { sender, clock, requests, answers } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })
    let isFirst = true
    answers.set('a.example', () => {
      if (!isFirst) return status(200)
      isFirst = false
      return result
    })

    await sender.send({ type: 'x', data: 1 })
    await clock.advance(waitMs - 100)
    expect(requests).toHaveLength(1)
    await clock.advance(200)

    expect(hostsOf(requests)).toEqual(['a.example', 'a.example'])
    await sender.close()
  })

  it('at one endpoint is none at another', async () => {
    const { sender, clock, requests, answers } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })
    await sender.endpoints.add({ url: 'https://b.example/h' })
    answers.set('a.example', 500)

    for (let n = 0; n < 20; n += 1) await sender.send({ type: 'x', data: n })
    await clock.advance(1000)

    expect(hostsOf(requests).filter((host) => host === 'b.example')).toHaveLength(20)
    await sender.close()
  })

  it('of kind 410 disables the endpoint, and what waits is kept for the day when it is enabled', async () => {
    const { sender, clock, requests, answers, events } = await world()
    const { id } = await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', 410)
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(1000)
    expect(await sender.endpoints.get(id)).toMatchObject({
      status: 'disabled',
      disabledReason: 'gone',
    })
    expect(events).toContainEqual({ kind: 'endpoint.disabled', endpointId: id, reason: 'gone' })
    expect((await sender.send({ type: 'x', data: 2 })).endpoints).toBe(0)
    await clock.advance(hourMs)
    expect(requests).toHaveLength(1)

    answers.set('a.example', 200)
    await sender.endpoints.enable(id)
    await clock.advance(1000)

    expect(requests).toHaveLength(2)
    await sender.close()
  })

  it('that says so is not tried again', async () => {
    const { sender, clock, requests, answers } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', () => status(500, { 'webhook-delivery': 'abort-message' }))

    await sender.send({ type: 'x', data: 1 })
    await clock.advance(hourMs)

    expect(requests).toHaveLength(1)
    await sender.close()
  })

  it('for 120 hours disables the endpoint, after alerts on the way that others get as events; a success begins anew', async () => {
    const schedule = Array.from({ length: 500 }, () => hourMs)
    const { sender, clock, requests, answers, events } = await world({ schedule, jitter: 0 })
    const { id } = await sender.endpoints.add({ url: 'https://a.example/h', events: ['x'] })
    await sender.endpoints.add({ url: 'https://ops.example/h', events: ['webhook.#'] })
    answers.set('a.example', 500)
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(100 * hourMs)
    answers.set('a.example', 200)
    await clock.advance(2 * hourMs)
    expect(await sender.endpoints.get(id)).toMatchObject({ status: 'active' })
    answers.set('a.example', 500)
    await sender.send({ type: 'x', data: 2 })
    await clock.advance(119 * hourMs)
    expect(await sender.endpoints.get(id)).toMatchObject({ status: 'active' })

    await clock.advance(2 * hourMs)

    expect(await sender.endpoints.get(id)).toMatchObject({
      status: 'disabled',
      disabledReason: 'failing',
    })
    const shares = events.flatMap((event) =>
      event.kind === 'endpoint.failing' ? [event.share] : [],
    )
    expect(shares).toEqual([0.5, 0.7, 0.5, 0.7, 0.9, 1])
    const told = requests
      .filter(({ url }) => url.includes('ops'))
      .map(({ body }) => JSON.parse(Buffer.from(body).toString()).type as string)
    expect(told.filter((type) => type === 'webhook.endpoint.failing')).toHaveLength(6)
    expect(told.at(-1)).toBe('webhook.endpoint.disabled')
    await sender.close()
  })

  it('repeated N times disables the endpoint where that is asked for', async () => {
    const { sender, clock, answers, requests } = await world({
      disable: { failures: 3 },
      schedule: Array(9).fill(1000),
    })
    const { id } = await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', 500)
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(minuteMs)

    expect(requests).toHaveLength(3)
    expect(await sender.endpoints.get(id)).toMatchObject({ status: 'disabled' })
    await sender.close()
  })
})

describe('order', () => {
  /** Runs ten messages of two keys into an endpoint whose first answer to `a1` fails. */
  async function run(
    order: 'none' | 'key' | 'fifo',
    onExhausted: 'skip' | 'stop' = 'skip',
    failures = 1,
  ) {
    const made = await world({ schedule: [1000, 1000], jitter: 0 })
    const { sender, clock, answers } = made
    const { id } = await sender.endpoints.add({ url: 'https://a.example/h', order, onExhausted })
    const seen: string[] = []
    let left = failures
    answers.set('a.example', ({ body }: PostRequest) => {
      const { data } = JSON.parse(Buffer.from(body).toString()) as { data: string }
      if (data === 'a1' && left > 0) {
        left -= 1
        return status(500)
      }
      seen.push(data)
      return status(200)
    })
    for (const data of ['a1', 'b1', 'a2', 'b2', 'a3']) {
      await sender.send({ type: 'x', data, key: data[0] ?? '' })
    }
    await clock.advance(10_000)
    const endpoint = await sender.endpoints.get(id)
    await sender.close()
    return { seen, endpoint }
  }

  it('fifo: one waits for the other, retries included', async () => {
    expect((await run('fifo')).seen).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
  })

  it('key: one key does not wait for another', async () => {
    const { seen } = await run('key')

    expect(seen.filter((one) => one.startsWith('a'))).toEqual(['a1', 'a2', 'a3'])
    expect(seen.slice(0, 2)).toEqual(['b1', 'b2'])
  })

  it('none: nobody waits', async () => {
    expect((await run('none')).seen.at(-1)).toBe('a1')
  })

  it('goes on after a message whose attempts are spent, or stops there, as the endpoint says', async () => {
    expect((await run('fifo', 'skip', 9)).seen).toEqual(['b1', 'a2', 'b2', 'a3'])
    const stopped = await run('fifo', 'stop', 9)
    expect(stopped.seen).toEqual([])
    expect(stopped.endpoint).toMatchObject({ status: 'disabled', disabledReason: 'stopped' })
  })
})

describe('an endpoint', () => {
  it('with a throttle gets no more than that', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h', throttlePerSecond: 10 })
    for (let n = 0; n < 50; n += 1) await sender.send({ type: 'x', data: n })
    await clock.advance(1)
    expect(requests.length).toBe(10)

    await clock.advance(1000)
    expect(requests.length).toBe(20)
    await clock.advance(3000)
    expect(requests.length).toBe(50)
    await sender.close()
  })

  it('has no more deliveries at work than its concurrency', async () => {
    const { sender, clock, answers } = await world()
    await sender.endpoints.add({ url: 'https://a.example/h', concurrency: 4 })
    let atWork = 0
    let most = 0
    answers.set('a.example', async () => {
      atWork += 1
      most = Math.max(most, atWork)
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 10))
      atWork -= 1
      return status(200)
    })
    for (let n = 0; n < 100; n += 1) await sender.send({ type: 'x', data: n })

    await clock.advance(2000)

    expect(most).toBe(4)
    expect(sender.stats()).toMatchObject({ delivered: 100, waiting: 0 })
    await sender.close()
  })

  it('is signed for by the old and the new secret while it is changed, and by the new alone afterwards', async () => {
    const { sender, clock, requests } = await world()
    const { id, secret } = await sender.endpoints.add({ url: 'https://a.example/h' })
    const next = await sender.endpoints.rotateSecret(id)
    const accepted = async () => {
      await sender.send({ type: 'x', data: 1 })
      await clock.advance(10)
      const last = requests.at(-1) as PostRequest
      return [secret, next].map(
        (one) =>
          verify({
            scheme: 'standard-webhooks',
            secrets: [one],
            headers: last.headers,
            rawBody: last.body,
            now: new Date(clock.now()),
          }).ok,
      )
    }

    expect(await accepted()).toEqual([true, true])
    expect(await sender.endpoints.get(id)).toMatchObject({ secretsInUse: 2 })
    await clock.advance(24 * hourMs + 1)
    expect(await accepted()).toEqual([false, true])
    expect(JSON.stringify(await sender.endpoints.list())).not.toContain('whsec_')
    await sender.close()
  })

  it('keeps its secret unreadable in the store where the sender has a key', async () => {
    const { sender, store, clock, requests, another } = await world({ sealKey: 'key' })
    const { secret } = await sender.endpoints.add({ url: 'https://a.example/h' })
    const records = await store.records.list('webhook.out.default.endpoints', { limit: 10 })
    expect(JSON.stringify(records)).not.toContain(secret.slice(6))
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(10)
    expect(requests).toHaveLength(1)
    await sender.close()
    const keyless = await another({ sealKey: 'other' })
    await keyless.send({ type: 'x', data: 1 })
    await clock.advance(10)
    expect(requests).toHaveLength(1)
    await keyless.close()
  })

  it('gets nothing before it has proved itself, where that is asked for', async () => {
    const { sender, clock, requests, answers } = await world({ verification: 'challenge' })
    const { id } = await sender.endpoints.add({ url: 'https://a.example/h' })
    expect((await sender.send({ type: 'x', data: 1 })).endpoints).toBe(0)
    expect(await sender.endpoints.verify(id)).toMatchObject({ ok: false })
    answers.set('a.example', ({ body }) => {
      const { data } = JSON.parse(Buffer.from(body).toString()) as { data: { challenge: string } }
      return { status: 200, headers: {}, excerpt: JSON.stringify({ challenge: data.challenge }) }
    })
    expect(await sender.endpoints.verify(id)).toEqual({ ok: true })
    await sender.send({ type: 'x', data: 2 })
    await clock.advance(10)
    expect(requests).toHaveLength(3)
    await sender.close()

    const events = await world({ verification: 'cloudevents', origin: 'shop.example' })
    const added = await events.sender.endpoints.add({ url: 'https://a.example/h' })
    events.answers.set('a.example', () => status(200, { 'webhook-allowed-origin': 'shop.example' }))
    expect(await events.sender.endpoints.verify(added.id)).toEqual({ ok: true })
    await events.sender.close()
  })

  it.each([
    ['http://a.example/', 'WEBHOOK_EGRESS_DENIED'],
    ['https://127.0.0.1/', 'WEBHOOK_EGRESS_DENIED'],
    ['https://[::ffff:169.254.169.254]/', 'WEBHOOK_EGRESS_DENIED'],
    ['https://a.example:22/', 'WEBHOOK_EGRESS_DENIED'],
    ['https://user:pass@a.example/', 'WEBHOOK_EGRESS_DENIED'],
    ['https://inner.example/', 'WEBHOOK_EGRESS_DENIED'],
    ['nonsense', 'WEBHOOK_EGRESS_DENIED'],
  ])('at %s is refused', async (url, code) => {
    const resolve = async (host: string) =>
      host === 'inner.example' ? ['8.8.8.8', '10.0.0.1'] : ['8.8.8.8']
    const { sender } = await world({ egress: { resolve } })

    await expect(sender.endpoints.add({ url })).rejects.toMatchObject({ code })
    await expect(
      sender.endpoints.add({ url: 'https://good.example:8443/' }),
    ).resolves.toMatchObject({ status: 'active' })
    await sender.close()
  })

  it('is refused with what cannot be held to: filters that do not compile, reserved headers, odd patterns', async () => {
    const { sender } = await world()
    const url = 'https://a.example/'

    await expect(sender.endpoints.add({ url, filter: 'data.x >' })).rejects.toMatchObject({
      code: 'WEBHOOK_FILTER_INVALID',
    })
    for (const wrong of [
      { headers: { 'Webhook-Id': 'x' } },
      { headers: { x: 'a\nb' } },
      { events: ['a..b'] },
      { id: 'a/b' },
      { concurrency: 0 },
      { secret: 'whsec_' },
    ]) {
      await expect(sender.endpoints.add({ url, ...wrong })).rejects.toMatchObject({
        code: 'OPTION_INVALID',
      })
    }
    await sender.endpoints.add({ url, id: 'one' })
    await expect(sender.endpoints.add({ url, id: 'one' })).rejects.toMatchObject({
      code: 'WEBHOOK_ENDPOINT_EXISTS',
    })
    await sender.close()
  })
})

describe('the delivery log', () => {
  it('holds each attempt with what came back, and a message can be sent once more', async () => {
    const { sender, clock, answers, requests } = await world()
    const { id: endpointId } = await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', () => ({ status: 500, headers: { server: 'x' }, excerpt: 'oh no' }))
    const { id } = await sender.send({ type: 'x', data: 1 })
    await clock.advance(10)
    answers.set('a.example', 200)
    await clock.advance(6000)

    const { items } = await sender.attempts({ endpointId, messageId: id })
    expect(items).toMatchObject([
      { attempt: 1, outcome: 'failed', status: 500, response: 'oh no', nextAt: expect.any(Number) },
      { attempt: 2, outcome: 'delivered', status: 200 },
    ])
    await sender.redeliver(id, endpointId)
    await clock.advance(10)
    expect(requests.map(idOf)).toEqual([id, id, id])
    await expect(sender.redeliver('none', endpointId)).rejects.toMatchObject({
      code: 'WEBHOOK_MESSAGE_NOT_FOUND',
    })
    await sender.close()
  })

  it('tells what to recover: what failed and what was never tried, and nothing else', async () => {
    const { sender, clock, answers, requests } = await world({ schedule: [], jitter: 0 })
    const { id: endpointId } = await sender.endpoints.add({
      url: 'https://a.example/h',
      events: ['x.*'],
    })
    await sender.send({ type: 'x.old', data: 0 })
    await clock.advance(1000)
    const since = new Date(clock.now())
    await sender.send({ type: 'x.good', data: 1 })
    await clock.advance(1000)
    answers.set('a.example', 500)
    await sender.send({ type: 'x.bad', data: 2 })
    await clock.advance(1000)
    await sender.endpoints.disable(endpointId)
    await sender.send({ type: 'x.missed', data: 3 })
    await sender.send({ type: 'y.other', data: 4 })
    await sender.endpoints.enable(endpointId)
    answers.set('a.example', 200)
    requests.length = 0

    expect(await sender.recover(endpointId, { since })).toBe(2)
    await clock.advance(1000)

    const types = requests.map(
      ({ body }) => (JSON.parse(Buffer.from(body).toString()) as { type: string }).type,
    )
    expect(types).toEqual(['x.bad', 'x.missed'])
    expect(await sender.recover(endpointId, { since })).toBe(0)
    await sender.close()
  })

  it('forgets what is older than it is told to keep', async () => {
    const { sender, store, clock } = await world({ retentionMs: 48 * hourMs })
    await sender.endpoints.add({ url: 'https://a.example/h' })
    const { id } = await sender.send({ type: 'x', data: 1, id: 'm-1' })
    await clock.advance(10)
    expect(await sender.message(id)).toBeDefined()

    await clock.advance(50 * hourMs)

    expect(await sender.message(id)).toBeUndefined()
    for (const part of ['messages', 'ids', 'pending', 'attempts']) {
      expect(await store.records.list(`webhook.out.default.${part}`, { limit: 10 }), part).toEqual(
        [],
      )
    }
    await sender.close()
  })
})

describe('several processes', () => {
  it('share one store: one delivers, and another takes over when it dies', async () => {
    const { sender, clock, requests, another } = await world({ leaseMs: 15_000, pollMs: 500 })
    await sender.endpoints.add({ url: 'https://a.example/h' })
    const second = await another()
    expect([sender.stats().isDispatching, second.stats().isDispatching]).toEqual([true, false])

    await second.send({ type: 'x', data: 1 })
    await clock.advance(1000)
    expect(requests).toHaveLength(1)
    await sender.close()
    await second.send({ type: 'x', data: 2 })
    await clock.advance(20_000)

    expect(second.stats().isDispatching).toBe(true)
    expect(requests).toHaveLength(2)
    await second.close()
  })

  it('see each other change endpoints', async () => {
    const { sender, clock, requests, another } = await world({ leaseMs: 15_000, pollMs: 500 })
    const manager = await another({ dispatch: false })
    const { id } = await manager.endpoints.add({ url: 'https://a.example/h' })
    await clock.advance(2000)
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(10)
    expect(requests).toHaveLength(1)
    await manager.endpoints.disable(id)
    await clock.advance(2000)

    expect((await sender.send({ type: 'x', data: 2 })).endpoints).toBe(0)
    await manager.close()
    await sender.close()
  })

  it('lose nothing when one stops before it has delivered: the next begins with what is left', async () => {
    const { sender, clock, requests, answers, another } = await world({
      leaseMs: 15_000,
      pollMs: 500,
    })
    await sender.endpoints.add({ url: 'https://a.example/h' })
    answers.set('a.example', 500)
    const sent = []
    for (let n = 0; n < 5; n += 1) sent.push((await sender.send({ type: 'x', data: n })).id)
    await clock.advance(10)
    await sender.close()
    answers.set('a.example', 200)
    requests.length = 0
    const next = await another()

    await clock.advance(60_000)

    expect(new Set(requests.map(idOf))).toEqual(new Set(sent))
    expect(next.stats()).toMatchObject({ delivered: 5, waiting: 0 })
    await next.close()
  })
})
