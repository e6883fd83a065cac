import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { type Bus, openBus } from '../../messaging/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import { type FakeClock, fakeClock } from '../../testing/fake-clock.ts'
import { bytes, paymentContract, request, secret, startMs } from './inbound.test.kit.ts'
import { createReceiver, type ReceiverOptions } from './receiver.ts'
import type { ReceiverEvent } from './receiver-events.ts'
import type { SourceOptions } from './source.ts'

const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

interface World {
  readonly bus: Bus
  readonly store: Store
  readonly clock: FakeClock
  readonly events: ReceiverEvent[]
  readonly receiver: ReturnType<typeof createReceiver>
}

const signed: SourceOptions = {
  verify: { scheme: 'standard-webhooks', secrets: [secret] },
  event: 'payment.made',
}

async function world(
  source: Partial<SourceOptions> = {},
  more: Partial<ReceiverOptions> & { envelope?: 'none' | 'treaty' } = {},
): Promise<World> {
  const { envelope, ...options } = more
  const clock = fakeClock()
  const bus = await openBus({ contracts: [paymentContract(envelope)], transport: 'memory:', clock })
  const store = await openStore('memory:', { clock })
  opened.push(
    () => store.close(),
    () => bus.close({ drainMs: 0 }),
  )
  const events: ReceiverEvent[] = []
  const whole =
    source.inbox || source.handle ? { verify: signed.verify, ...source } : { ...signed, ...source }
  const receiver = createReceiver({
    sources: { psp: whole },
    bus,
    store,
    clock,
    onEvent: (event) => events.push(event),
    ...options,
  })
  return { bus, store, clock, events, receiver }
}

async function published(bus: Bus) {
  return (await bus.messages({ event: 'payment.made' })).items
}

describe('a verified delivery', () => {
  it('is on the bus before it is answered, with its bytes to the last space', async () => {
    const { bus, receiver, events } = await world()
    const body = '{ "amount": 1.0, "big": 12345678901234567890 }'

    expect(await receiver.receive('psp', request(body))).toMatchObject({ status: 200, body: '' })

    const [item] = await published(bus)
    expect(Buffer.from(item?.record.body ?? '').toString()).toBe(body)
    expect(item?.record.headers).toMatchObject({
      'treaty-webhook-id': 'msg_1',
      'webhook-id': 'msg_1',
    })
    expect(events).toMatchObject([{ outcome: 'published', secretIndex: 0, id: 'msg_1' }])
  })

  it('becomes a message in the envelope of its contract, by the mapping of its source', async () => {
    const { bus, receiver } = await world(
      { map: ({ json }) => ({ amount: Number((json as { cents: number }).cents) / 100 }) },
      { envelope: 'treaty' },
    )

    await receiver.receive(
      'psp',
      request('{"cents":1250}', { id: '0b8f6a52-3c1e-4d7a-9f00-000000000001' }),
    )

    const [item] = await published(bus)
    expect(item?.message).toMatchObject({
      type: 'payment.made',
      source: 'psp',
      correlation_id: '0b8f6a52-3c1e-4d7a-9f00-000000000001',
      data: { amount: 12.5 },
    })
  })

  it('keeps no credentials among its headers', async () => {
    const { bus, receiver } = await world()

    await receiver.receive(
      'psp',
      request('{"amount":1}', {
        headers: { Authorization: 'Bearer x', Cookie: 'a=b', 'X-Topic': 't' },
      }),
    )

    const [item] = await published(bus)
    expect(item?.record.headers).toMatchObject({ 'x-topic': 't' })
    expect(JSON.stringify(item?.record.headers)).not.toMatch(/Bearer|a=b/)
  })

  it('may be ignored by its source, and is then not asked about again', async () => {
    const { bus, receiver, events } = await world({ event: () => undefined })

    expect((await receiver.receive('psp', request('{}'))).status).toBe(200)
    expect((await receiver.receive('psp', request('{}'))).status).toBe(200)
    expect(events.map(({ outcome }) => outcome)).toEqual(['ignored', 'duplicate'])
    expect(await published(bus)).toEqual([])
  })

  it('is verified over the compressed bytes and kept as it was before', async () => {
    const { bus, receiver } = await world()
    const packed = gzipSync('{"amount":1}')

    const answer = await receiver.receive(
      'psp',
      request(packed, { headers: { 'content-encoding': 'gzip' } }),
    )

    expect(answer.status).toBe(200)
    expect(Buffer.from((await published(bus))[0]?.record.body ?? '').toString()).toBe(
      '{"amount":1}',
    )
  })
})

describe('a duplicate', () => {
  it('is answered like the first and makes no second message, in each retry', async () => {
    const { bus, receiver, events } = await world()

    for (const seconds of [0, 5, 300]) {
      const retry = request('{"amount":1}', { at: startMs + seconds * 1000 })
      expect((await receiver.receive('psp', retry)).status).toBe(200)
    }

    expect(await published(bus)).toHaveLength(1)
    expect(events.map(({ outcome }) => outcome)).toEqual(['published', 'duplicate', 'duplicate'])
  })

  it('that comes at the same time runs once', async () => {
    const { bus, receiver, events } = await world()

    const answers = await Promise.all(
      Array.from({ length: 50 }, () => receiver.receive('psp', request('{"amount":1}'))),
    )

    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(await published(bus)).toHaveLength(1)
    expect(events.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(49)
  })

  it('of an id at another source is none', async () => {
    const { bus, receiver } = await world({}, { sources: { psp: signed, other: signed } })

    await receiver.receive('psp', request('{"amount":1}'))
    await receiver.receive('other', request('{"amount":1}'))

    expect(await published(bus)).toHaveLength(2)
  })

  it('without an id is known by its content, and other content is no duplicate', async () => {
    const { bus, receiver } = await world({ verify: { scheme: 'github', secrets: ['hush'] } })
    const idless = (body: string) => {
      const { 'x-github-delivery': _id, ...headers } = request(body, {
        scheme: 'github',
        secret: 'hush',
      }).headers as Record<string, string>
      return { ...request(body), headers }
    }

    for (const body of ['{"amount":1}', '{"amount":2}', '{"amount":1}']) {
      await receiver.receive('psp', idless(body))
    }

    expect(await published(bus)).toHaveLength(2)
  })

  it('waits for the process that is at work on it, and is wanted again if that fails', async () => {
    const { receiver, store, clock } = await world()
    const rival = await store.claims.claim('webhook.psp', 'msg_1', 60_000)

    const answering = receiver.receive('psp', request('{"amount":1}'))
    await clock.advance(2000)

    expect(await answering).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    if (rival.state === 'claimed') await store.claims.release('webhook.psp', 'msg_1', rival.token)
    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
  })

  it('of a crashed process is taken when its lease has passed', async () => {
    const { receiver, store, clock, bus } = await world()
    await store.claims.claim('webhook.psp', 'msg_1', 60_000)
    await clock.advance(60_001)

    const retry = request('{"amount":1}', { at: clock.now() })

    expect((await receiver.receive('psp', retry)).status).toBe(200)
    expect(await published(bus)).toHaveLength(1)
  })
})

describe('a duplicate that the bus recognises', () => {
  const byBus = { dedupe: { by: 'bus' } } as const

  it('makes no second message, in this process or another', async () => {
    const { bus, store, clock, receiver, events } = await world(byBus)
    const other = createReceiver({ sources: { psp: { ...signed, ...byBus } }, bus, store, clock })

    for (const one of [receiver, receiver, other, other]) {
      expect((await one.receive('psp', request('{"amount":1}'))).status).toBe(200)
    }

    expect(await published(bus)).toHaveLength(1)
    expect(events.map(({ outcome }) => outcome)).toEqual(['published', 'duplicate'])
  })

  it('leaves one dead letter where it is invalid', async () => {
    const { bus, store, clock, receiver } = await world(byBus)
    const other = createReceiver({ sources: { psp: { ...signed, ...byBus } }, bus, store, clock })

    for (const one of [receiver, receiver, other]) await one.receive('psp', request('not json'))

    expect(await bus.dead.count()).toBe(1)
  })

  it('is wanted again after a failure', async () => {
    const { bus, store, clock } = await world()
    let isBroken = true
    const failing = {
      ...bus,
      ingest: (...args: Parameters<Bus['ingest']>) =>
        isBroken ? Promise.reject(new TreatyError('STORE_FULL', 'no')) : bus.ingest(...args),
    }
    const receiver = createReceiver({
      sources: { psp: { ...signed, ...byBus } },
      bus: failing,
      store,
      clock,
    })

    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(503)
    isBroken = false
    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
    expect(await published(bus)).toHaveLength(1)
  })

  it('is refused as an option where the bus cannot do it for so long', async () => {
    await expect(world({ dedupe: { by: 'bus', keepMs: 8 * 86_400_000 } })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    })
    await expect(world({ dedupe: { by: 'bus' }, handle: async () => {} })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    })
  })
})

describe('a request that does not verify', () => {
  it('gets 401 without a word, whatever is wrong with it, and reaches nobody', async () => {
    const { bus, receiver, events } = await world()
    const good = request('{"amount":1}')
    const wrong = [
      { ...good, rawBody: bytes('{"amount":2}') },
      { ...good, headers: {} },
      request('{"amount":1}', { at: startMs - 301_000 }),
      { ...good, headers: { ...good.headers, 'webhook-signature': 'nonsense' } },
      request('{"amount":1}', { secret: 'whsec_b3RoZXJzZWNyZXRvdGhlcnNlY3JldA==' }),
    ]

    const answers = await Promise.all(wrong.map((one) => receiver.receive('psp', one)))

    expect(new Set(answers.map((one) => JSON.stringify(one)))).toEqual(
      new Set(['{"status":401,"headers":{},"body":""}']),
    )
    expect(events.map(({ reason }) => reason).toSorted()).toEqual([
      'malformed',
      'mismatch',
      'mismatch',
      'missing',
      'stale',
    ])
    expect(await published(bus)).toEqual([])
    expect(receiver.stats().psp?.unverified).toEqual({
      mismatch: 2,
      missing: 1,
      stale: 1,
      malformed: 1,
    })
  })

  it('claims no id, so that the true delivery is taken afterwards', async () => {
    const { bus, receiver } = await world()
    await receiver.receive('psp', { ...request('{"amount":1}'), rawBody: bytes('{"amount":9}') })

    await receiver.receive('psp', request('{"amount":1}'))

    expect(await published(bus)).toHaveLength(1)
  })

  it('of an unknown source gets 404', async () => {
    const { receiver } = await world()

    expect((await receiver.receive('nobody', request('{}'))).status).toBe(404)
  })
})

describe('secrets', () => {
  it('change without a restart, and show when the old one is out of use', async () => {
    const next = 'whsec_b3RoZXJzZWNyZXRvdGhlcnNlY3JldA=='
    let secrets = [secret]
    const { receiver } = await world({
      verify: { scheme: 'standard-webhooks', secrets: () => secrets },
    })
    await receiver.receive('psp', request('{"amount":1}', { id: 'a' }))
    secrets = [next, secret]
    await receiver.receive('psp', request('{"amount":1}', { id: 'b' }))
    await receiver.receive('psp', request('{"amount":1}', { id: 'c', secret: next }))
    secrets = [next]

    expect((await receiver.receive('psp', request('{"amount":1}', { id: 'd' }))).status).toBe(401)
    expect(receiver.stats().psp?.secrets).toEqual({ 0: 2, 1: 1 })
  })
})

describe('an invalid payload', () => {
  it('is quarantined with its bytes and answered 2xx, for the provider cannot mend it', async () => {
    const { bus, receiver, events } = await world()

    const answer = await receiver.receive('psp', request('{"amount":"much"}'))

    expect(answer.status).toBe(200)
    const { items } = await bus.dead.list()
    expect(items).toMatchObject([{ reason: 'SCHEMA_MISMATCH', consumer: null }])
    const letter = await bus.dead.get(items[0]?.id ?? '')
    expect(Buffer.from(letter?.body ?? '').toString()).toBe('{"amount":"much"}')
    expect(events).toMatchObject([{ outcome: 'quarantined' }])
  })

  it('is quarantined once, however often it is sent', async () => {
    const { bus, receiver } = await world()
    for (let n = 0; n < 3; n += 1) await receiver.receive('psp', request('not json'))

    expect(await bus.dead.count()).toBe(1)
  })

  it('is refused with its findings where the source says so, and nothing is kept', async () => {
    for (const envelope of ['none', 'treaty'] as const) {
      const { bus, receiver } = await world({ onInvalid: 'reject' }, { envelope })

      const answer = await receiver.receive('psp', request('{"amount":"much"}'))

      expect(answer.status).toBe(422)
      expect(JSON.parse(answer.body)).toMatchObject({ findings: [{ pointer: '/data/amount' }] })
      expect(await bus.dead.count()).toBe(0)
      expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
    }
  })

  it('is mapped by the mapping of today when it is replayed, under the same id', async () => {
    for (const envelope of ['none', 'treaty'] as const) {
      let field = 'total'
      const map: NonNullable<SourceOptions['map']> = ({ json }) => {
        const found = (json as Record<string, unknown>)[field]
        if (found === undefined) throw new Error(`no ${field}`)
        return { amount: found }
      }
      const { bus, receiver } = await world({ map }, { envelope })
      await receiver.receive('psp', request('{"sum":7,"word":"x"}', { id: 'a%b' }))
      const [{ id, messageId } = { id: '', messageId: '' }] = (await bus.dead.list()).items
      const replayed = async () => {
        const letter = await bus.dead.get(id)
        return letter && receiver.replay(letter)
      }

      await expect(replayed()).rejects.toMatchObject({ code: 'WEBHOOK_UNMAPPED' })
      field = 'word'
      await expect(replayed()).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
      expect(await bus.dead.count()).toBe(1)

      field = 'sum'
      expect(await replayed()).toBe(true)
      expect(await bus.dead.count()).toBe(0)
      expect(await published(bus)).toMatchObject([
        { record: { id: messageId }, message: { data: { amount: 7 } } },
      ])
    }
  })

  it('is mapped again where the mapping worked and the schema refused', async () => {
    let isCorrected = false
    const map: NonNullable<SourceOptions['map']> = ({ json }) => {
      const { sum } = json as { sum: string }
      return { amount: isCorrected ? Number(sum) : sum }
    }
    const { bus, receiver } = await world({ map }, { envelope: 'treaty' })
    await receiver.receive('psp', request('{"sum":"7"}'))
    isCorrected = true
    const [item] = (await bus.dead.list()).items
    const letter = await bus.dead.get(item?.id ?? '')

    expect(letter && (await receiver.replay(letter))).toBe(true)
    expect(await published(bus)).toMatchObject([{ message: { data: { amount: 7 } } }])
    expect(await bus.dead.count()).toBe(0)
  })

  it('keeps its own bytes where the mapping throws', async () => {
    const { bus, receiver } = await world({
      map: () => {
        throw new Error('no such field')
      },
    })

    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
    const { items } = await bus.dead.list()
    expect(items).toMatchObject([{ reason: 'WEBHOOK_UNMAPPED' }])
    expect(Buffer.from((await bus.dead.get(items[0]?.id ?? ''))?.body ?? '').toString()).toBe(
      '{"amount":1}',
    )
  })
})

describe('a store that cannot take it', () => {
  it.each(['STORE_FULL', 'STORE_BUSY'] as const)(
    'answers 503 with Retry-After on %s, and takes the retry',
    async (code) => {
      const { bus, store, clock } = await world()
      let isBroken = true
      const broken: Store = {
        ...store,
        claims: {
          ...store.claims,
          claim: (...args) =>
            isBroken ? Promise.reject(new TreatyError(code, 'no')) : store.claims.claim(...args),
        },
      }
      const receiver = createReceiver({ sources: { psp: signed }, bus, store: broken, clock })

      expect(await receiver.receive('psp', request('{"amount":1}'))).toMatchObject({
        status: 503,
        headers: { 'retry-after': '5' },
      })
      isBroken = false
      expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
      expect(await published(bus)).toHaveLength(1)
    },
  )

  it('frees the claim when the bus fails, so that the retry is no duplicate', async () => {
    const { bus, store, clock } = await world()
    let isBroken = true
    const failing = {
      ...bus,
      ingest: (...args: Parameters<Bus['ingest']>) =>
        isBroken ? Promise.reject(new TreatyError('STORE_FULL', 'no')) : bus.ingest(...args),
    }
    const receiver = createReceiver({ sources: { psp: signed }, bus: failing, store, clock })

    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(503)
    isBroken = false
    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
    expect(await published(bus)).toHaveLength(1)
  })

  it('still says yes when only the completion of the claim fails: the delivery is kept', async () => {
    const { bus, store, clock } = await world()
    const forgetful: Store = {
      ...store,
      claims: {
        ...store.claims,
        complete: () => Promise.reject(new TreatyError('STORE_BUSY', 'no')),
      },
    }
    const receiver = createReceiver({ sources: { psp: signed }, bus, store: forgetful, clock })

    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(200)
    await clock.advance(60_001)
    const again = await receiver.receive('psp', request('{"amount":1}', { at: clock.now() }))
    expect(again.status).toBe(200)
    expect(await published(bus)).toHaveLength(1)
  })
})

describe('limits', () => {
  it('refuse a body beyond its size, before the signature is looked at', async () => {
    const { receiver } = await world({ limits: { bodyBytes: 10 } })

    expect((await receiver.receive('psp', request('{"amount":1}'))).status).toBe(413)
  })

  it('refuse a compressed body that grows beyond its size', async () => {
    const { receiver } = await world({ limits: { bodyBytes: 100_000 } })
    const bomb = gzipSync(Buffer.alloc(10_000_000))

    expect(
      (await receiver.receive('psp', request(bomb, { headers: { 'content-encoding': 'gzip' } })))
        .status,
    ).toBe(413)
    expect(
      (await receiver.receive('psp', request('{}', { headers: { 'content-encoding': 'gzip' } })))
        .status,
    ).toBe(400)
    expect(
      (await receiver.receive('psp', request('{}', { headers: { 'content-encoding': 'zstd' } })))
        .status,
    ).toBe(415)
  })

  it('answer 429 with Retry-After above the rate, and let go on when time has passed', async () => {
    const { receiver, clock } = await world({ limits: { ratePerSecond: 2, burst: 3 } })
    const send = (id: string) =>
      receiver.receive('psp', request('{"amount":1}', { id, at: clock.now() }))
    const statuses = []
    for (const id of ['a', 'b', 'c', 'd']) statuses.push((await send(id)).status)

    expect(statuses).toEqual([200, 200, 200, 429])
    expect((await send('d')).headers['retry-after']).toBe('1')
    await clock.advance(500)
    expect((await send('d')).status).toBe(200)
  })

  it('refuse media types that the source does not take', async () => {
    const { receiver } = await world({ limits: { contentTypes: ['application/json'] } })

    expect(
      (
        await receiver.receive(
          'psp',
          request('{"amount":1}', { headers: { 'content-type': 'text/html' } }),
        )
      ).status,
    ).toBe(415)
    expect(
      (
        await receiver.receive(
          'psp',
          request('{"amount":1}', {
            headers: { 'content-type': 'application/json; charset=utf-8' },
          }),
        )
      ).status,
    ).toBe(200)
  })

  it('quarantine what nests too deeply instead of falling over it', async () => {
    const { bus, receiver } = await world()
    const deep = `{"amount":${'['.repeat(100_000)}${']'.repeat(100_000)}}`

    expect((await receiver.receive('psp', request(deep))).status).toBe(200)
    expect(await bus.dead.count()).toBe(1)
  })

  it('take POST only', async () => {
    const { receiver } = await world()

    expect(await receiver.receive('psp', { ...request('{}'), method: 'PUT' })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    })
    expect((await receiver.receive('psp', { ...request('{}'), method: 'GET' })).status).toBe(405)
  })
})

describe('handshakes', () => {
  it('Slack: the challenge is echoed when the signature holds, and no message is made', async () => {
    const { bus, receiver } = await world({ verify: { scheme: 'slack', secrets: ['hush'] } })
    const body = JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1aB' })
    const asked = request(body, { scheme: 'slack', secret: 'hush' })

    expect(JSON.parse((await receiver.receive('psp', asked)).body)).toEqual({
      challenge: '3eZbrw1aB',
    })
    expect((await receiver.receive('psp', { ...asked, headers: {} })).status).toBe(401)
    expect(await published(bus)).toEqual([])
  })

  it('Discord: a PING is answered', async () => {
    const { receiver } = await world({ verify: 'unsigned', handshakes: [{ kind: 'discord' }] })

    expect((await receiver.receive('psp', request('{"type":1,"application_id":"1"}'))).body).toBe(
      '{"type":1}',
    )
    expect((await receiver.receive('psp', request('{"type":0}'))).status).toBe(204)
  })

  it('Meta, Twitter and plain parameters: asked by GET', async () => {
    const { receiver } = await world({
      verify: { scheme: 'github', secrets: ['hush'] },
      handshakes: [
        { kind: 'meta', verifyToken: 'token' },
        { kind: 'query', parameter: 'check' },
        { kind: 'twitter' },
      ],
    })
    const get = (query: string) =>
      receiver.receive('psp', {
        method: 'GET',
        url: `/hooks/psp?${query}`,
        headers: {},
        rawBody: bytes(''),
      })

    expect((await get('hub.mode=subscribe&hub.verify_token=token&hub.challenge=42')).body).toBe(
      '42',
    )
    expect((await get('hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=42')).status).toBe(
      405,
    )
    expect(await get('check=abc')).toMatchObject({
      body: 'abc',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    })
    expect((await get('check=%3Cscript%3E%20x')).status).toBe(405)
    const digest = createHmac('sha256', 'hush').update('crc').digest('base64')
    expect(JSON.parse((await get('crc_token=crc')).body)).toEqual({
      response_token: `sha256=${digest}`,
    })
  })

  it('Zoom: the token comes back with its digest', async () => {
    const { receiver } = await world({
      verify: {
        scheme: {
          kind: 'hmac',
          header: 'x-zm-signature',
          prefix: 'v0=',
          format: 'raw',
          algorithm: 'sha256',
          encoding: 'hex',
          secretEncoding: 'utf8',
          content: 'v0:{ts}:{body}',
          timestamp: { header: 'x-zm-request-timestamp', unit: 's' },
        },
        secrets: ['hush'],
      },
      handshakes: [{ kind: 'zoom' }],
    })
    const scheme = {
      kind: 'hmac',
      header: 'x-zm-signature',
      prefix: 'v0=',
      format: 'raw',
      algorithm: 'sha256',
      encoding: 'hex',
      secretEncoding: 'utf8',
      content: 'v0:{ts}:{body}',
      timestamp: { header: 'x-zm-request-timestamp', unit: 's' },
    } as const
    const body = JSON.stringify({
      event: 'endpoint.url_validation',
      payload: { plainToken: 'abc' },
    })

    const answer = await receiver.receive('psp', request(body, { scheme, secret: 'hush' }))

    expect(JSON.parse(answer.body)).toEqual({
      plainToken: 'abc',
      encryptedToken: createHmac('sha256', 'hush').update('abc').digest('hex'),
    })
  })

  it('CloudEvents: an origin that is allowed may send', async () => {
    const { receiver } = await world({
      handshakes: [{ kind: 'cloudevents', origins: ['eventgrid.example'], ratePerMinute: 60 }],
    })
    const ask = (origin: string) =>
      receiver.receive('psp', {
        method: 'OPTIONS',
        url: '/hooks/psp',
        headers: { 'WebHook-Request-Origin': origin },
        rawBody: bytes(''),
      })

    expect((await ask('eventgrid.example')).headers).toMatchObject({
      'webhook-allowed-origin': 'eventgrid.example',
      'webhook-allowed-rate': '60',
    })
    expect((await ask('evil.example')).status).toBe(405)
  })
})

describe('synchronous mode', () => {
  it('gives the answer of the handler', async () => {
    const { receiver } = await world({
      handle: async ({ json }) => ({
        status: 200,
        body: `got ${JSON.stringify(json)}`,
        headers: { 'content-type': 'text/plain' },
      }),
    })

    expect(await receiver.receive('psp', request('{"amount":1}'))).toMatchObject({
      body: 'got {"amount":1}',
    })
  })

  it('lets the provider try again after a failure, once more and not twice', async () => {
    let runs = 0
    const { receiver } = await world({
      async handle() {
        runs += 1
        if (runs === 1) throw new Error('database password is hunter2')
      },
    })

    expect(await receiver.receive('psp', request('{}'))).toEqual({
      status: 500,
      headers: {},
      body: '',
    })
    expect((await receiver.receive('psp', request('{}'))).status).toBe(200)
    expect((await receiver.receive('psp', request('{}'))).status).toBe(200)
    expect(runs).toBe(2)
  })

  it('aborts a handler that takes too long', async () => {
    const { receiver, clock } = await world({
      limits: { handleMs: 100 },
      handle: (_delivery, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('aborted'))),
        ),
    })
    const answering = receiver.receive('psp', request('{}'))

    await clock.advance(100)

    expect((await answering).status).toBe(500)
  })
})

describe('URLs that are signed', () => {
  const url = 'https://hooks.example.com/hooks/psp'
  const headersFor = (signedUrl: string) => {
    const ts = String(startMs)
    const mac = createHmac('sha256', 'hush')
      .update(`POST${signedUrl}{"amount":1}${ts}`)
      .digest('base64')
    return { 'x-hubspot-signature-v3': mac, 'x-hubspot-request-timestamp': ts }
  }
  const inner = {
    method: 'POST',
    url: '/hooks/psp?a=1',
    rawBody: bytes('{"amount":1}'),
    remoteAddress: '10.0.0.1',
  }

  it('are those that are configured, with the query of the request', async () => {
    const { receiver } = await world({
      verify: { scheme: 'hubspot-v3', secrets: ['hush'], publicUrl: url },
    })

    expect(
      (await receiver.receive('psp', { ...inner, headers: headersFor(`${url}?a=1`) })).status,
    ).toBe(200)
  })

  it('are built from forwarding headers of trusted proxies alone', async () => {
    const source = { verify: { scheme: 'hubspot-v3', secrets: ['hush'] } } as const
    const headers = {
      ...headersFor(`${url}?a=1`),
      host: 'inner',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'hooks.example.com',
    }
    const trusting = await world(source, { trustProxy: (address) => address === '10.0.0.1' })
    const wary = await world(source)

    expect((await trusting.receiver.receive('psp', { ...inner, headers })).status).toBe(200)
    expect((await wary.receiver.receive('psp', { ...inner, headers })).status).toBe(401)
  })
})

describe('configuration', () => {
  it('refuses events that no contract has, and sources that lead nowhere', async () => {
    await expect(world({ event: 'payment.lost' })).rejects.toMatchObject({ code: 'UNKNOWN_EVENT' })
    const { store } = await world()
    for (const source of [
      { verify: 'unsigned' },
      { ...signed, handle: async () => {} },
    ] as SourceOptions[]) {
      expect(() => createReceiver({ sources: { psp: source }, store })).toThrow(
        expect.objectContaining({ code: 'OPTION_INVALID' }),
      )
    }
    expect(() => createReceiver({ sources: { '../x': signed }, store })).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID' }),
    )
  })
})
