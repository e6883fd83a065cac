import { createServer } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../../src/contracts/index.ts'
import { type Bus, openBus } from '../../src/messaging/index.ts'
import { openStore, type Store } from '../../src/store/index.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import {
  createInbox,
  createReceiver,
  createSender,
  fetchHandler,
  type InboundDelivery,
  nodeHandler,
  type Post,
  type Receiver,
  type SourceOptions,
  sign,
  verify,
} from '../../src/webhooks/index.ts'
import { holds } from './law.ts'
import { sampleWebhooks } from './seed-models.ts'

// Capabilities 5.E, rows 117 to 132: webhooks that come in, and those that go out.

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const startMs = Date.UTC(2026, 0, 1)
const bytes = (text: string) => new TextEncoder().encode(text)

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
async function storeOf(): Promise<Store> {
  const store = await openStore('memory:')
  closing.push(() => store.close())
  return store
}

/** A plain description of what the seed signs: hex of the body, and an id beside it that nobody has signed. */
const plainScheme = {
  kind: 'hmac',
  header: 'x-signature',
  format: 'raw',
  algorithm: 'sha256',
  encoding: 'hex',
  secretEncoding: 'utf8',
  content: '{body}',
  id: { header: 'x-event-id' },
} as const

/** A receiver as a neighbour sees it: bytes and headers in, a status out; a rejection is a crash. */
interface Endpoint {
  receive(headers: Readonly<Record<string, string>>, rawBody: Uint8Array): Promise<number>
  sign(rawBody: Uint8Array, id?: string): Record<string, string>
}
type Handle = (body: unknown) => Promise<void>
type Make = (handle: Handle) => Promise<Endpoint>

function endpointOver(receiver: Receiver): Endpoint {
  return {
    async receive(headers, rawBody) {
      const request = { method: 'POST', url: '/hooks/psp', headers, rawBody }
      return (await receiver.receive('psp', request)).status
    },
    sign: (rawBody, id) => {
      const common = { scheme: plainScheme, secrets: [secret], timestamp: new Date(startMs) }
      const { 'x-event-id': _, ...signed } = sign({ ...common, id: id ?? 'none', rawBody })
      return id === undefined ? signed : { ...signed, 'x-event-id': id }
    },
  }
}

const subjects: { readonly ours: Make; readonly seed: Make } = {
  ours: async (handle) =>
    endpointOver(
      createReceiver({
        store: await storeOf(),
        sources: {
          psp: {
            verify: { scheme: plainScheme, secrets: [secret] },
            handle: async ({ json }) => handle(json),
          },
        },
      }),
    ),
  seed: async (handle) => sampleWebhooks({ secret, handle }),
}
const lawOf = (law: (make: Make) => Promise<void>) => holds<Make>(law, subjects)
/** A model that throws answers with the framework's 500. */
const statusOf = (answer: Promise<number>) => answer.catch(() => 500)

const standard = { scheme: 'standard-webhooks', secrets: [secret] } as const
function signed(
  body: string | Uint8Array,
  more: { id?: string; at?: number; secret?: string } = {},
) {
  const rawBody = typeof body === 'string' ? bytes(body) : body
  const headers = sign({
    ...standard,
    secrets: [more.secret ?? secret],
    id: more.id ?? 'msg_1',
    timestamp: new Date(more.at ?? startMs),
    rawBody,
  })
  return { method: 'POST', url: '/hooks/psp', headers, rawBody }
}
async function receiverOf(source: Partial<SourceOptions>, clock = fakeClock(startMs)) {
  const handled: InboundDelivery[] = []
  const receiver = createReceiver({
    store: await storeOf(),
    clock,
    sources: {
      psp: {
        verify: standard,
        ...((source.inbox ?? source.event)
          ? {}
          : { handle: async (delivery) => void handled.push(delivery) }),
        ...source,
      },
    },
  })
  return { receiver, handled, clock }
}

const contract = defineContract({
  treaty: 1,
  id: 'shop.payments',
  version: '1.0.0',
  status: 'active',
  purpose: 'Tells that a payment was made, so that billing can close the invoice.',
  owner: { team: 'payments' },
  pattern: 'pub-sub',
  envelope: 'treaty',
  channels: { payments: { address: 'shop.payments', retention: '1d' } },
  events: {
    'payment.made': {
      channel: 'payments',
      purpose: 'A payment was made.',
      schema: { type: 'object', required: ['amount'], properties: { amount: { type: 'number' } } },
    },
  },
  producers: { psp: {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'payment.made': { needs: ['amount'] } } } },
})
async function busOf(): Promise<Bus> {
  const bus = await openBus({ contracts: [contract], transport: 'memory:' })
  closing.push(() => bus.close({ drainMs: 0 }))
  return bus as Bus
}

describe('5.E Webhooks', () => {
  it('C117 refuses a configuration that leads nowhere, and uses what is configured', async () => {
    const store = await storeOf()
    const make = (source: object) => () =>
      createReceiver({ store, sources: { psp: { verify: standard, ...source } as SourceOptions } })
    for (const wrong of [{}, { event: 'payment.made' }, { handle: async () => {}, event: 'x' }]) {
      expect(make(wrong)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
    }
    // The retry policy counts: three attempts, then a dead letter.
    const clock = fakeClock(startMs)
    let attempts = 0
    const inbox = createInbox({
      store,
      name: 'psp',
      clock,
      retry: { attempts: 3, baseMs: 100, factor: 2, capMs: 1000, jitter: 'none' },
      handle: async () => {
        attempts += 1
        throw new Error('not now')
      },
    })
    const { receiver } = await receiverOf({ inbox }, clock)
    inbox.start()
    closing.push(() => inbox.stop())
    await receiver.receive('psp', signed('{}'))
    for (let n = 0; n < 40; n += 1) await clock.advance(100)
    expect(attempts).toBe(3)
    expect(await inbox.dead.list()).toMatchObject([{ attempts: 3, reason: 'not now' }])
  })

  it('C118 verifies the bytes that were received, whatever a parser would make of them', async () => {
    const texts = [
      '{"amount": 1.0}',
      '{ "a" : 1 }',
      '{"n":1e3}',
      '{"id":12345678901234567890}',
      '{"t":"\\u00e9"}',
      '{"a":1,"b":2,"a":3}',
    ]
    await lawOf(async (make) => {
      for (const [n, text] of texts.entries()) {
        const endpoint = await make(async () => undefined)
        const body = bytes(text)
        const headers = endpoint.sign(body, `e${n}`)
        expect(await statusOf(endpoint.receive(headers, body)), text).toBe(200)
      }
    })
  })

  it('C119 answers 401 to each malformed, missing or doubled signature, and never throws', async () => {
    await lawOf(async (make) => {
      const endpoint = await make(async () => undefined)
      const body = bytes('{}')
      const good = endpoint.sign(body, 'e1')['x-signature'] ?? ''
      const flipped = good.replace(/^./, (first) => (first === '0' ? '1' : '0'))
      for (const signature of ['', 'x', good.slice(1), `${good}00`, flipped, `${good}, ${good}`]) {
        const headers = { 'x-event-id': 'e1', 'x-signature': signature }
        expect(await statusOf(endpoint.receive(headers, body)), signature).toBe(401)
      }
      expect(await statusOf(endpoint.receive({ 'x-event-id': 'e1' }, body))).toBe(401)
    })
    const { headers, rawBody } = signed('{}')
    const doubled = { ...headers, 'Webhook-Signature': headers['webhook-signature'] }
    expect(verify({ ...standard, headers: doubled, rawBody, now: new Date(startMs) })).toEqual({
      ok: false,
      reason: 'malformed',
    })
  })

  it('C120 signs id and time with the body, so that nothing captured can be sent again', async () => {
    const { receiver, handled, clock } = await receiverOf({})
    const captured = signed('{"amount":1}')
    expect((await receiver.receive('psp', captured)).status).toBe(200)
    const renamed = { ...captured, headers: { ...captured.headers, 'webhook-id': 'msg_2' } }
    expect((await receiver.receive('psp', renamed)).status).toBe(401)
    await clock.advance(300_000)
    expect((await receiver.receive('psp', captured)).status).toBe(200)
    await clock.advance(1000)
    expect((await receiver.receive('psp', captured)).status).toBe(401)
    expect(handled).toHaveLength(1)
    // The seed's id is beside what is signed: a captured body goes through under any other.
    let runs = 0
    const seed = await subjects.seed(async () => {
      runs += 1
    })
    const body = bytes('{}')
    for (const id of ['a', 'b', 'c']) {
      await seed.receive({ ...seed.sign(body), 'x-event-id': id }, body)
    }
    expect(runs).toBe(3)
  })

  it('C121 takes several secrets, and the published examples of the providers', () => {
    const rawBody = bytes('{"test": 2432232314}')
    const now = new Date(1_614_265_330_000)
    const published = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const old = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
    expect(verify({ ...standard, headers: published, rawBody, now })).toMatchObject({ ok: true })
    expect(
      verify({ ...standard, secrets: [old, secret], headers: published, rawBody, now }),
    ).toMatchObject({ ok: true, secretIndex: 1 })
    const svix = Object.fromEntries(
      Object.entries(published).map(([name, value]) => [name.replace('webhook', 'svix'), value]),
    )
    expect(verify({ ...standard, scheme: 'svix', headers: svix, rawBody, now }).ok).toBe(true)
    expect(
      verify({
        scheme: 'github',
        secrets: ["It's a Secret to Everybody"],
        rawBody: bytes('Hello, World!'),
        headers: {
          'X-Hub-Signature-256':
            'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
        },
        now,
      }).ok,
    ).toBe(true)
    expect(
      verify({
        scheme: 'slack',
        secrets: ['8f742231b10e8888abcd99yyyzzz85a5'],
        rawBody: bytes(
          'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
        ),
        headers: {
          'X-Slack-Signature':
            'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
          'X-Slack-Request-Timestamp': '1531420618',
        },
        now: new Date(1_531_420_618_000),
      }).ok,
    ).toBe(true)
    for (const scheme of ['stripe', 'shopify', 'twilio', 'hubspot-v3'] as const) {
      const given = { scheme, rawBody, url: 'https://a.test/hook', method: 'POST' }
      const headers = sign({ ...given, secrets: ['key'], id: 'i', timestamp: now })
      expect(verify({ ...given, secrets: ['new', 'key'], headers, now }), scheme).toMatchObject({
        ok: true,
        secretIndex: 1,
      })
    }
  })

  it('C122 answers a bad signature with 401 and not a word, calls nobody, and counts it', async () => {
    await lawOf(async (make) => {
      let runs = 0
      const endpoint = await make(async () => {
        runs += 1
      })
      const headers = { 'x-signature': '0'.repeat(64), 'x-event-id': 'e1' }
      expect(await statusOf(endpoint.receive(headers, bytes('{}')))).toBe(401)
      expect(runs).toBe(0)
    })
    const { receiver, handled } = await receiverOf({})
    const good = signed('{}')
    const answers = []
    for (const change of [
      { 'webhook-signature': 'v1,AAAA' },
      { 'webhook-timestamp': '1' },
      { 'webhook-id': '' },
    ]) {
      answers.push(
        await receiver.receive('psp', { ...good, headers: { ...good.headers, ...change } }),
      )
    }
    expect(new Set(answers.map((each) => JSON.stringify(each)))).toEqual(
      new Set([JSON.stringify({ status: 401, headers: {}, body: '' })]),
    )
    expect(handled).toEqual([])
    expect(receiver.stats().psp).toMatchObject({
      outcomes: { unverified: 3 },
      unverified: { malformed: 1, stale: 1, missing: 1 },
    })
  })

  it('C123 reads headers without regard to case, as Node and as fetch give them', async () => {
    await lawOf(async (make) => {
      const endpoint = await make(async () => undefined)
      const body = bytes('{}')
      const fetched = new Headers(endpoint.sign(body, 'e1'))
      expect(await statusOf(endpoint.receive(fetched as never, body))).toBe(200)
      const shouted = Object.fromEntries(
        Object.entries(endpoint.sign(body, 'e2')).map(([name, value]) => [
          name.toUpperCase(),
          value,
        ]),
      )
      expect(await statusOf(endpoint.receive(shouted, body))).toBe(200)
    })
  })

  it('C124 knows a delivery without an id by its content, so that none stands for all', async () => {
    await lawOf(async (make) => {
      const bodies: unknown[] = []
      const endpoint = await make(async (body) => void bodies.push(body))
      for (const n of [1, 2, 3]) {
        const body = bytes(`{"n":${n}}`)
        expect(await statusOf(endpoint.receive(endpoint.sign(body), body))).toBe(200)
      }
      expect(bodies).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    })
  })

  it('C125 claims an id before anything else: duplicates run once, also at the same time, in any process', async () => {
    await lawOf(async (make) => {
      let runs = 0
      const endpoint = await make(async () => {
        runs += 1
        await new Promise((resolve) => setTimeout(resolve, 20))
      })
      const body = bytes('{}')
      const headers = endpoint.sign(body, 'e1')
      const statuses = await Promise.all(
        Array.from({ length: 5 }, () => statusOf(endpoint.receive(headers, body))),
      )
      expect(statuses).toEqual([200, 200, 200, 200, 200])
      expect(runs).toBe(1)
    })
    // Two processes on one store; then one that dies in the middle of it.
    const store = await storeOf()
    let runs = 0
    const hangs = Promise.withResolvers<void>()
    const make = (handle: () => Promise<void>) =>
      createReceiver({
        store,
        sources: {
          psp: { verify: standard, handle, dedupe: { leaseMs: 100 }, limits: { handleMs: 60_000 } },
        },
      })
    const count = async () => {
      runs += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const request = signed('{}', { at: Date.now() })
    const both = await Promise.all([
      make(count).receive('psp', request),
      make(count).receive('psp', request),
    ])
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    expect(runs).toBe(1)
    const dying = signed('{}', { id: 'msg_2', at: Date.now() })
    const dead = make(() => hangs.promise).receive('psp', dying)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await make(count).receive('psp', dying)).status).toBe(200)
    expect(runs).toBe(2)
    hangs.resolve()
    await dead
  })

  it('C126 keeps ids apart by source, longer than the provider goes on, and not for ever', async () => {
    const clock = fakeClock(startMs)
    const store = await openStore('memory:', { clock })
    closing.push(() => store.close())
    const seen: string[] = []
    const source = (name: string) => ({
      verify: { ...standard, toleranceSeconds: 1e9 },
      handle: async () => void seen.push(name),
    })
    const receiver = createReceiver({
      store,
      clock,
      sources: { psp: source('psp'), bank: source('bank') },
    })
    const dayMs = 86_400_000
    await receiver.receive('psp', signed('{}'))
    await receiver.receive('bank', signed('{}'))
    expect(seen).toEqual(['psp', 'bank'])
    await clock.advance(7 * dayMs - 1000)
    await receiver.receive('psp', signed('{}'))
    expect(seen).toHaveLength(2)
    await clock.advance(2000)
    // Old ids are gone from the store, not only ignored.
    expect(await store.claims.purge()).toBeGreaterThan(0)
    await receiver.receive('psp', signed('{}'))
    expect(seen).toHaveLength(3)
  })

  it('C127 tries again by itself with the same id, headers and bytes, and keeps what is given up', async () => {
    const clock = fakeClock(startMs)
    const store = await storeOf()
    const seen: { id: string; headers: unknown; text: string; attempt: number }[] = []
    const inbox = createInbox({
      store,
      name: 'psp',
      clock,
      retry: { attempts: 2, baseMs: 1000, factor: 2, capMs: 1000, jitter: 'none' },
      async handle({ id, headers, rawBody }, { attempt }) {
        seen.push({ id, headers, text: Buffer.from(rawBody).toString(), attempt })
        throw new Error('not now')
      },
    })
    closing.push(() => inbox.stop())
    const { receiver } = await receiverOf({ inbox }, clock)
    inbox.start()
    const body = '{"amount": 1.0}'
    expect((await receiver.receive('psp', signed(body))).status).toBe(200)
    for (let n = 0; n < 30; n += 1) await clock.advance(200)
    const [first, second] = seen
    expect(second).toEqual({ ...first, attempt: 2 })
    expect(first).toMatchObject({ id: 'msg_1', text: body, headers: { 'webhook-id': 'msg_1' } })
    expect(await inbox.dead.list()).toMatchObject([
      { delivery: { id: 'msg_1' }, attempts: 2, reason: 'not now' },
    ])
    // Where nothing can be kept the answer says so, and the provider comes again.
    const broken: Store = {
      ...store,
      claims: { ...store.claims, claim: () => Promise.reject(new Error('the disk is full')) },
    }
    const full = createReceiver({
      store: broken,
      clock,
      sources: { psp: { verify: { ...standard, toleranceSeconds: 1e9 }, inbox } },
    })
    expect(await full.receive('psp', signed('{}', { id: 'msg_9' }))).toMatchObject({
      status: 503,
      headers: { 'retry-after': expect.any(String) },
    })
  })

  it('C128 answers before the work is done, unless the source asks for the other way', async () => {
    const store = await storeOf()
    const release = Promise.withResolvers<void>()
    let isDone = false
    const inbox = createInbox({
      store,
      name: 'psp',
      async handle() {
        await release.promise
        isDone = true
      },
    })
    inbox.start()
    const { receiver } = await receiverOf({ inbox })
    expect((await receiver.receive('psp', signed('{}'))).status).toBe(200)
    expect(isDone).toBe(false)
    release.resolve()
    await expect.poll(() => isDone).toBe(true)
    await inbox.stop()
    const { receiver: sync } = await receiverOf({
      handle: async ({ json }) => ({ status: 200, body: JSON.stringify({ took: json }) }),
    })
    expect((await sync.receive('psp', signed('{"a":1}'))).body).toBe('{"took":{"a":1}}')
  })

  it('C129 bounds size, type, depth, rate and time, and cuts off who drips', async () => {
    const limits = { bodyBytes: 1000, bodyMs: 150, contentTypes: ['application/json'] }
    const { receiver } = await receiverOf({ limits: { ...limits, ratePerSecond: 100, burst: 5 } })
    const json = { 'content-type': 'application/json' }
    const sent = (body: string, headers: object = json) => {
      const request = signed(body, { id: `m${Math.random()}`.replace('.', '') })
      return receiver.receive('psp', { ...request, headers: { ...request.headers, ...headers } })
    }
    expect((await sent(`"${'x'.repeat(2000)}"`)).status).toBe(413)
    expect((await sent('{}', { 'content-type': 'text/html' })).status).toBe(415)
    expect((await sent('{}')).status).toBe(200)
    const many = await Promise.all(Array.from({ length: 10 }, () => sent('{}')))
    const refused = many.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.headers).toHaveProperty('retry-after')

    const bus = await busOf()
    const deep = createReceiver({
      store: await storeOf(),
      bus,
      clock: fakeClock(startMs),
      sources: { psp: { verify: standard, event: 'payment.made' } },
    })
    // Quarantined, not a crash: the provider cannot mend it.
    const nested = `{"amount":${'['.repeat(5000)}${']'.repeat(5000)}}`
    expect((await deep.receive('psp', signed(nested))).status).toBe(200)
    expect(deep.stats().psp?.outcomes).toEqual({ quarantined: 1 })

    const slow = createReceiver({
      store: await storeOf(),
      sources: { psp: { verify: standard, handle: async () => undefined, limits } },
    })
    const server = createServer(nodeHandler(slow)).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /hooks/psp HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{')
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    server.close()
  })

  it('C130 sends: signed for each endpoint, on a schedule, disabled in time, told in a log, to public places only', async () => {
    const clock = fakeClock(startMs)
    const store = await storeOf()
    const posts: Parameters<Post>[0][] = []
    const answers: Record<string, number> = { 'sick.example': 500, 'gone.example': 410 }
    const sender = await createSender({
      store,
      clock,
      random: () => 0.5,
      schedule: [1000, 2000],
      jitter: 0,
      leaseMs: 10_800_000,
      pollMs: 3_600_000,
      egress: { https: 'required', privateNetworks: 'allow' },
      post: async (request) => {
        posts.push(request)
        return { status: answers[new URL(request.url).hostname] ?? 204, headers: {}, excerpt: '' }
      },
    })
    closing.push(() => sender.close({ drainMs: 0 }))
    const { endpoints } = sender
    const well = await endpoints.add({ id: 'well', url: 'https://well.example/' })
    await endpoints.add({ id: 'sick', url: 'https://sick.example/' })
    await endpoints.add({ id: 'gone', url: 'https://gone.example/' })
    await sender.send({ type: 'payment.made', data: { amount: 1 }, id: 'm1' })
    for (let n = 0; n < 8; n += 1) await clock.advance(1000)

    const toWell = posts.filter(({ url }) => url.includes('well'))
    expect(toWell).toHaveLength(1)
    const verdict = verify({
      ...standard,
      secrets: [well.secret],
      headers: toWell[0]?.headers ?? {},
      rawBody: toWell[0]?.body ?? bytes(''),
      now: new Date(startMs),
    })
    expect(verdict).toMatchObject({ ok: true, id: 'm1' })
    const toSick = posts.filter(({ url }) => url.includes('sick'))
    expect(toSick.map(({ headers }) => headers['webhook-id'])).toEqual(['m1', 'm1', 'm1'])
    expect(await endpoints.get('gone')).toMatchObject({
      status: 'disabled',
      disabledReason: 'gone',
    })
    const log = await sender.attempts({ endpointId: 'sick' })
    expect(log.items.map(({ outcome }) => outcome)).toContain('exhausted')

    answers['sick.example'] = 204
    await sender.redeliver('m1', 'sick')
    await clock.advance(10)
    expect(posts.filter(({ url }) => url.includes('sick'))).toHaveLength(4)
    const guarded = await createSender({ store: await storeOf(), dispatch: false })
    closing.push(() => guarded.close())
    for (const url of [
      'https://127.0.0.1/',
      'https://169.254.169.254/',
      'http://public.example/',
    ]) {
      await expect(guarded.endpoints.add({ url })).rejects.toMatchObject({
        code: 'WEBHOOK_EGRESS_DENIED',
      })
    }
  })

  it('C130 disables an endpoint after as many failures in a row as it is told', async () => {
    const clock = fakeClock(startMs)
    const sender = await createSender({
      store: await storeOf(),
      clock,
      schedule: [],
      leaseMs: 10_800_000,
      pollMs: 3_600_000,
      disable: { failures: 3 },
      egress: { https: 'required', privateNetworks: 'allow' },
      post: async () => ({ status: 500, headers: {}, excerpt: '' }),
    })
    closing.push(() => sender.close({ drainMs: 0 }))
    await sender.endpoints.add({ id: 'sick', url: 'https://sick.example/' })
    for (let n = 0; n < 3; n += 1) {
      await sender.send({ type: 'payment.made', data: {} })
      await clock.advance(100)
    }
    expect(await sender.endpoints.get('sick')).toMatchObject({ status: 'disabled' })
  })

  it('C131 answers the questions by which providers verify an endpoint, and makes no delivery of them', async () => {
    const clock = fakeClock(startMs)
    const { receiver: slack, handled } = await receiverOf(
      { verify: { scheme: 'slack', secrets: ['key'] } },
      clock,
    )
    const rawBody = bytes('{"type":"url_verification","challenge":"c123"}')
    const headers = sign({
      scheme: 'slack',
      secrets: ['key'],
      id: 'x',
      timestamp: new Date(startMs),
      rawBody,
    })
    const answer = await slack.receive('psp', { method: 'POST', url: '/', headers, rawBody })
    expect(answer).toMatchObject({ status: 200, body: '{"challenge":"c123"}' })
    expect(handled).toEqual([])
    // Not for a stranger.
    const unsigned = await slack.receive('psp', { method: 'POST', url: '/', headers: {}, rawBody })
    expect(unsigned.status).toBe(401)

    const { receiver: meta } = await receiverOf({
      handshakes: [{ kind: 'meta', verifyToken: 'known' }],
    })
    const ask = (token: string) =>
      meta.receive('psp', {
        method: 'GET',
        url: `/hooks/psp?hub.mode=subscribe&hub.verify_token=${token}&hub.challenge=42`,
        headers: {},
        rawBody: bytes(''),
      })
    expect(await ask('known')).toMatchObject({ status: 200, body: '42' })
    expect((await ask('other')).status).toBe(405)
  })

  it('C132 validates a payload and publishes it as an event of a contract, its id kept', async () => {
    const bus = await busOf()
    const receiver = createReceiver({
      store: await storeOf(),
      bus,
      sources: {
        psp: {
          verify: standard,
          event: 'payment.made',
          map: ({ json }) => ({ amount: (json as { cents: number }).cents }),
        },
      },
    })
    const id = '0199b0aa-0000-7000-8000-000000000001'
    const handler = fetchHandler(receiver)
    const post = (body: string, messageId: string) => {
      const { headers, rawBody } = signed(body, { id: messageId, at: Date.now() })
      const url = 'https://shop.example/hooks/psp'
      return handler(new Request(url, { method: 'POST', headers, body: Buffer.from(rawBody) }))
    }
    expect((await post('{"cents":150}', id)).status).toBe(200)
    const { items } = await bus.messages({ event: 'payment.made' })
    expect(items).toMatchObject([
      {
        message: { type: 'payment.made', source: 'psp', data: { amount: 150 }, correlation_id: id },
      },
    ])
    // The provider cannot mend it, so it is kept and not asked for again.
    expect((await post('{"cents":"many"}', 'msg_bad')).status).toBe(200)
    const dead = await bus.dead.list()
    expect(dead.items).toMatchObject([{ event: 'payment.made', consumer: null }])
    expect((await bus.messages({ event: 'payment.made' })).items).toHaveLength(1)
  })
})
