import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import { sign as signGithub, verify as verifyGithub } from '@octokit/webhooks-methods'
import fc from 'fast-check'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import twilio from 'twilio'
import { describe, expect, it } from 'vitest'
import type { HmacScheme, Scheme, SchemeName } from './scheme.ts'
import { sign, verify } from './verify.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const now = new Date('2026-01-01T00:00:00Z')
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const stripe = new Stripe('sk_test_nothing')

function later(seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000)
}

/** A key pair of Standard Webhooks, and the same as Discord and others write it. */
function keyPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  return { seed, point }
}
const { seed, point } = keyPair()
const ed25519 = {
  sign: `whsk_${Buffer.concat([seed, point]).toString('base64')}`,
  verify: `whpk_${point.toString('base64')}`,
}

/** Each scheme with a secret to sign and one to verify. */
const cases: readonly {
  scheme: Scheme
  name: string
  sign: string
  verify: string
  url?: string
}[] = [
  { name: 'standard-webhooks', scheme: 'standard-webhooks', sign: secret, verify: secret },
  { name: 'standard-webhooks v1a', scheme: 'standard-webhooks', ...ed25519 },
  { name: 'svix', scheme: 'svix', sign: secret, verify: secret },
  { name: 'stripe', scheme: 'stripe', sign: secret, verify: secret },
  { name: 'github', scheme: 'github', sign: 'hush', verify: 'hush' },
  { name: 'slack', scheme: 'slack', sign: 'hush', verify: 'hush' },
  { name: 'shopify', scheme: 'shopify', sign: 'hush', verify: 'hush' },
  {
    name: 'hubspot-v3',
    scheme: 'hubspot-v3',
    sign: 'hush',
    verify: 'hush',
    url: 'https://example.com/hook?a=b',
  },
  {
    name: 'discord',
    scheme: 'discord',
    sign: seed.toString('hex'),
    verify: point.toString('hex'),
  },
  {
    name: 'sha512 of hex secret with id, time and method',
    scheme: {
      kind: 'hmac',
      header: 'X-Signature',
      prefix: 'v0=',
      format: 'list',
      algorithm: 'sha512',
      encoding: 'hex',
      secretEncoding: 'hex',
      content: '{method}\n{id}.{ts}.{body}',
      id: { header: 'X-Id' },
      timestamp: { header: 'X-Time', unit: 'ms' },
    },
    sign: '00ff10',
    verify: '00ff10',
  },
]

function signed(at: (typeof cases)[number], body: Uint8Array) {
  const { scheme, url } = at
  const more = url === undefined ? {} : { url }
  const headers = sign({
    scheme,
    secrets: [at.sign],
    id: 'msg_1',
    timestamp: now,
    rawBody: body,
    ...more,
  })
  return { scheme, secrets: [at.verify], headers, rawBody: body, now, ...more }
}

describe.each(cases)('$name', (at) => {
  it('verifies what it has signed, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect(verify(signed(at, body))).toMatchObject({ ok: true, secretIndex: 0 })
      }),
    )
  })

  it('refuses a request in which any bit of the body is flipped', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), (body, n) => {
        const flipped = Uint8Array.from(body)
        const bit = n % (body.length * 8)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(verify({ ...signed(at, body), rawBody: flipped }).ok).toBe(false)
      }),
    )
  })

  it('refuses a request in which any character of a signed header is changed', () => {
    const request = signed(at, bytes('{"a":1}'))
    // GitHub and Shopify do not sign the id; that is why it only serves to find duplicates.
    const names = Object.keys(request.headers).filter(
      (name) => !/delivery|webhook-id$/.test(name) || name === 'webhook-id',
    )
    for (const name of names) {
      const value = request.headers[name] ?? ''
      for (let index = 0; index < value.length; index += 1) {
        // The last character of base64 holds bits that do not count, so change it beyond them.
        const other = value[index] === 'A' ? 'Q' : value[index] === '0' ? '8' : '0'
        const changed = value.slice(0, index) + other + value.slice(index + 1)
        if (changed.toLowerCase() === value.toLowerCase()) continue
        if (isSameBase64(value, changed)) continue
        expect(
          verify({ ...request, headers: { ...request.headers, [name]: changed } }).ok,
          `${name}: ${changed}`,
        ).toBe(false)
      }
    }
  })

  it('says which of several secrets verified, the lowest', () => {
    const request = signed(at, bytes('{}'))

    expect(
      verify({ ...request, secrets: ['bm8=', '', ...request.secrets, ...request.secrets] }),
    ).toMatchObject({
      ok: true,
      secretIndex: 2,
    })
  })

  it('never verifies with an empty secret or none', () => {
    const request = signed(at, bytes('{}'))

    expect(verify({ ...request, secrets: [''] })).toEqual({ ok: false, reason: 'mismatch' })
    expect(verify({ ...request, secrets: [] })).toEqual({ ok: false, reason: 'mismatch' })
  })

  it('says that headers are missing, whether as an object or as fetch Headers', () => {
    const request = signed(at, bytes('{}'))

    expect(verify({ ...request, headers: {} })).toEqual({ ok: false, reason: 'missing' })
    expect(verify({ ...request, headers: new Headers() })).toEqual({ ok: false, reason: 'missing' })
  })

  it('reads headers without regard to case, from objects, arrays of one and fetch Headers', () => {
    const request = signed(at, bytes('{}'))
    const entries = Object.entries(request.headers)

    for (const headers of [
      Object.fromEntries(entries.map(([name, value]) => [name.toUpperCase(), value])),
      Object.fromEntries(entries.map(([name, value]) => [name, [value]])),
      new Headers(request.headers),
    ]) {
      expect(verify({ ...request, headers })).toMatchObject({ ok: true })
    }
  })

  it('refuses a header that comes twice as malformed, also when somebody has joined the two', () => {
    const request = signed(at, bytes('{}'))
    for (const [name, value] of Object.entries(request.headers)) {
      const joined = new Headers(request.headers)
      joined.append(name, value)
      for (const headers of [
        { ...request.headers, [name.toUpperCase()]: value },
        { ...request.headers, [name]: [value, value] },
        joined,
      ]) {
        const isList = typeof at.scheme === 'object' && at.scheme.format === 'list'
        if (headers === joined && isList && name === 'x-signature') continue
        expect(verify({ ...request, headers }), name).toEqual({ ok: false, reason: 'malformed' })
      }
    }
  })

  it('never throws, whatever the headers and the body are', () => {
    const names = Object.keys(signed(at, bytes('')).headers)
    fc.assert(
      fc.property(
        fc.record(
          Object.fromEntries(
            names.map((name) => [
              name,
              fc.oneof(
                fc.string(),
                fc.constant(undefined),
                fc.constant('v1,'),
                fc.array(fc.string()),
              ),
            ]),
          ),
        ),
        fc.uint8Array({ maxLength: 20 }),
        (headers, rawBody) => {
          const verdict = verify({
            ...signed(at, bytes('')),
            headers: headers as Record<string, string>,
            rawBody,
          })
          expect(verdict.ok).toBe(false)
        },
      ),
    )
  })
})

function isSameBase64(left: string, right: string): boolean {
  const last = (text: string) =>
    text
      .split(/[ ,=]/)
      .filter((part) => part !== '')
      .at(-1) ?? ''
  return Buffer.from(last(left), 'base64').equals(Buffer.from(last(right), 'base64'))
}

describe('tolerance', () => {
  const stamped = cases.filter(({ name }) => !['github', 'shopify'].includes(name))

  it.each(stamped)('is 300 seconds both ways, inclusive: $name', (at) => {
    const request = signed(at, bytes('{}'))

    for (const seconds of [300, -300]) {
      expect(verify({ ...request, now: later(seconds) }).ok, String(seconds)).toBe(true)
    }
    for (const seconds of [301, -301]) {
      expect(verify({ ...request, now: later(seconds) })).toEqual({ ok: false, reason: 'stale' })
    }
  })

  it('can be chosen, and is stale where the time is no time', () => {
    const request = signed(stamped[0] as (typeof cases)[number], bytes('{}'))

    expect(verify({ ...request, now: later(10), toleranceSeconds: 10 }).ok).toBe(true)
    expect(verify({ ...request, now: later(11), toleranceSeconds: 10 }).ok).toBe(false)
    expect(verify({ ...request, now: new Date(Number.NaN) })).toEqual({
      ok: false,
      reason: 'stale',
    })
  })

  it.each(['1e9', '+1', ' 1', '-1', '1.0', '0x10', '９', ''])(
    'takes "%s" for no timestamp',
    (text) => {
      const request = signed(cases[0] as (typeof cases)[number], bytes('{}'))
      const headers = { ...request.headers, 'webhook-timestamp': text }

      expect(verify({ ...request, headers, now: new Date(0) }).ok).toBe(false)
    },
  )
})

describe('official libraries', () => {
  const json = '{"test": 2432232314, "big": 12345678901234567890, "one": 1.0, "a": "\\u00e9"}'
  const unicode = JSON.stringify({ id: 'evt_1', text: 'grüß dich 🎉' })

  it.each([json, unicode, ''])('Standard Webhooks: each verifies the other, %s', (payload) => {
    const theirs = new StandardWebhook(secret)
    const headers = {
      'webhook-id': 'msg_2',
      'webhook-timestamp': String(now.getTime() / 1000),
      'webhook-signature': theirs.sign('msg_2', now, payload),
    }

    expect(
      verify({
        scheme: 'standard-webhooks',
        secrets: [secret],
        headers,
        rawBody: bytes(payload),
        now,
      }),
    ).toEqual({ ok: true, id: 'msg_2', secretIndex: 0 })
    const fresh = new Date()
    const ours = sign({
      scheme: 'standard-webhooks',
      secrets: [secret],
      id: 'msg_3',
      timestamp: fresh,
      rawBody: bytes(payload),
    })
    expect(() => theirs.verify(payload, ours)).not.toThrow()
  })

  it.each([json, unicode])('Svix: each verifies the other, %s', (payload) => {
    const theirs = new SvixWebhook(secret)
    const signature = theirs.sign('msg_2', now, payload)
    const seconds = String(now.getTime() / 1000)
    for (const prefix of ['svix', 'webhook']) {
      const headers = {
        [`${prefix}-id`]: 'msg_2',
        [`${prefix}-timestamp`]: seconds,
        [`${prefix}-signature`]: `v1,bm9ib2R5 ${signature}`,
      }

      expect(
        verify({ scheme: 'svix', secrets: [secret], headers, rawBody: bytes(payload), now }),
      ).toEqual({ ok: true, id: 'msg_2', secretIndex: 0 })
    }
    const ours = sign({
      scheme: 'svix',
      secrets: [secret],
      id: 'msg_3',
      timestamp: new Date(),
      rawBody: bytes(payload),
    })
    expect(() => theirs.verify(payload, ours)).not.toThrow()
  })

  it('Stripe: each verifies the other, and the id is that of the event', () => {
    const timestamp = now.getTime() / 1000
    const header = stripe.webhooks.generateTestHeaderString({ payload: unicode, secret, timestamp })

    expect(
      verify({
        scheme: 'stripe',
        secrets: [secret],
        headers: { 'Stripe-Signature': header },
        rawBody: bytes(unicode),
        now,
      }),
    ).toEqual({ ok: true, id: 'evt_1', secretIndex: 0 })
    const ours = sign({
      scheme: 'stripe',
      secrets: ['other', secret],
      id: 'x',
      timestamp: new Date(),
      rawBody: bytes(unicode),
    })
    expect(() =>
      stripe.webhooks.constructEvent(unicode, ours['stripe-signature'] ?? '', secret),
    ).not.toThrow()
  })

  it('Stripe: a signature of the test scheme v0 does not count', () => {
    const header = stripe.webhooks.generateTestHeaderString({
      payload: unicode,
      secret,
      timestamp: now.getTime() / 1000,
      scheme: 'v0',
    })

    expect(
      verify({
        scheme: 'stripe',
        secrets: [secret],
        headers: { 'stripe-signature': header },
        rawBody: bytes(unicode),
        now,
      }).ok,
    ).toBe(false)
  })

  it('GitHub: each verifies the other', async () => {
    const theirs = await signGithub('hush', unicode)
    const headers = { 'X-Hub-Signature-256': theirs, 'X-GitHub-Delivery': 'd-1' }

    expect(
      verify({ scheme: 'github', secrets: ['hush'], headers, rawBody: bytes(unicode), now }),
    ).toEqual({ ok: true, id: 'd-1', secretIndex: 0 })
    const ours = sign({
      scheme: 'github',
      secrets: ['hush'],
      id: 'd-1',
      timestamp: now,
      rawBody: bytes(unicode),
    })
    expect(await verifyGithub('hush', unicode, ours['x-hub-signature-256'] ?? '')).toBe(true)
  })

  it('Twilio: each verifies the other, forms and JSON, with and without the port', () => {
    const params = { To: '+18005551212', From: '+14158675310', Body: 'a b&c=ü', Digits: '1234' }
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2'
    const form = new URLSearchParams(params).toString()
    const options = { scheme: 'twilio', secrets: ['12345'], rawBody: bytes(form), now } as const
    const theirs = twilio.getExpectedTwilioSignature('12345', url, params)
    const withPort = twilio.getExpectedTwilioSignature(
      '12345',
      url.replace('.com/', '.com:443/'),
      params,
    )

    for (const signature of [theirs, withPort]) {
      expect(verify({ ...options, url, headers: { 'X-Twilio-Signature': signature } }).ok).toBe(
        true,
      )
    }
    const ours = sign({ ...options, url, id: 'x', timestamp: now })
    expect(twilio.validateRequest('12345', ours['x-twilio-signature'] ?? '', url, params)).toBe(
      true,
    )

    const hash = createHash('sha256').update(unicode).digest('hex')
    const jsonUrl = `https://mycompany.com/hook?bodySHA256=${hash}`
    const signature = twilio.getExpectedTwilioSignature('12345', jsonUrl, {})
    const jsonOptions = {
      ...options,
      url: jsonUrl,
      rawBody: bytes(unicode),
      headers: { 'x-twilio-signature': signature },
    }
    expect(verify(jsonOptions).ok).toBe(true)
    expect(verify({ ...jsonOptions, rawBody: bytes(`${unicode} `) }).ok).toBe(false)
    expect(verify({ ...jsonOptions, url: `${jsonUrl}&x=1` }).ok).toBe(false)
  })
})

describe('published examples', () => {
  it('GitHub', () => {
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    const rawBody = bytes('Hello, World!')

    expect(
      verify({
        scheme: 'github',
        secrets: ["It's a Secret to Everybody"],
        headers: { 'x-hub-signature-256': signature },
        rawBody,
        now,
      }),
    ).toMatchObject({ ok: true, secretIndex: 0 })
  })

  it('Standard Webhooks', () => {
    const headers = sign({
      scheme: 'standard-webhooks',
      secrets: [secret],
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: new Date(1614265330_000),
      rawBody: bytes('{"test": 2432232314}'),
    })

    expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  it('Slack', () => {
    const rawBody = bytes(
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    )
    const headers = {
      'X-Slack-Request-Timestamp': '1531420618',
      'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    }

    expect(
      verify({
        scheme: 'slack',
        secrets: ['8f742231b10e8888abcd99yyyzzz85a5'],
        headers,
        rawBody,
        now: new Date(1531420618_000),
      }).ok,
    ).toBe(true)
  })

  it('Twilio', () => {
    const rawBody = bytes(
      'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
    )
    const headers = { 'X-Twilio-Signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' }

    expect(
      verify({
        scheme: 'twilio',
        secrets: ['12345'],
        headers,
        rawBody,
        url: 'https://mycompany.com/myapp.php?foo=1&bar=2',
        now,
      }).ok,
    ).toBe(true)
  })

  it('Shopify, under both sets of headers', () => {
    const rawBody = bytes('{"id":1}')
    const hmac = createHmac('sha256', 'hush').update(rawBody).digest('base64')

    for (const prefix of ['X-Shopify', 'Shopify']) {
      const headers = { [`${prefix}-Hmac-SHA256`]: hmac, [`${prefix}-Webhook-Id`]: 'w-1' }
      expect(verify({ scheme: 'shopify', secrets: ['hush'], headers, rawBody, now })).toEqual({
        ok: true,
        id: 'w-1',
        secretIndex: 0,
      })
    }
  })

  it('HubSpot signs the URL with its reserved characters unescaped', () => {
    const url = 'https://example.com/hook%2Fa?x=%40b'
    const rawBody = bytes('[{"eventId":7}]')
    const ts = String(now.getTime())
    const hmac = createHmac('sha256', 'hush')
      .update(`POSThttps://example.com/hook/a?x=@b[{"eventId":7}]${ts}`)
      .digest('base64')
    const headers = { 'X-HubSpot-Signature-v3': hmac, 'X-HubSpot-Request-Timestamp': ts }

    expect(
      verify({
        scheme: 'hubspot-v3',
        secrets: ['hush'],
        headers,
        rawBody,
        url,
        method: 'POST',
        now,
      }).ok,
    ).toBe(true)
    expect(verify({ scheme: 'hubspot-v3', secrets: ['hush'], headers, rawBody, now })).toEqual({
      ok: false,
      reason: 'missing',
    })
  })
})

describe('ids', () => {
  it('come from the delivery, else from the content, and are the same in each retry', () => {
    const body = bytes('{"event_id":"Ev1"}')
    const at = (scheme: SchemeName, seconds: number) => {
      const headers = sign({
        scheme,
        secrets: ['hush'],
        id: 'd-1',
        timestamp: later(seconds),
        rawBody: body,
      })
      return verify({ scheme, secrets: ['hush'], headers, rawBody: body, now: later(seconds) })
    }

    expect(at('slack', 0)).toMatchObject({ id: 'Ev1' })
    expect(at('github', 0)).toMatchObject({ id: 'd-1' })
    const bare: HmacScheme = {
      kind: 'hmac',
      header: 'x',
      format: 'raw',
      algorithm: 'sha256',
      encoding: 'hex',
      secretEncoding: 'utf8',
      content: '{ts}{body}',
      timestamp: { header: 't', unit: 's' },
    }
    const ids = [0, 60].map((seconds) => {
      const headers = sign({
        scheme: bare,
        secrets: ['hush'],
        id: 'x',
        timestamp: later(seconds),
        rawBody: body,
      })
      return verify({
        scheme: bare,
        secrets: ['hush'],
        headers,
        rawBody: body,
        now: later(seconds),
      })
    })
    expect(ids[0]).toMatchObject({
      ok: true,
      id: `sha256-${createHash('sha256').update(body).digest('hex')}`,
    })
    expect(ids[1]).toEqual(ids[0])
  })

  it.each(['a.b', 'a b', 'a, a', '', 'ü'])(
    '"%s" is neither signed nor taken where dots join',
    (id) => {
      const scheme = 'standard-webhooks'
      expect(() =>
        sign({ scheme, secrets: [secret], id, timestamp: now, rawBody: bytes('') }),
      ).toThrow(expect.objectContaining({ code: 'WEBHOOK_SIGN_INVALID' }))
      const key = Buffer.from(secret.slice(6), 'base64')
      const seconds = String(now.getTime() / 1000)
      const hmac = createHmac('sha256', key).update(`${id}.${seconds}.`).digest('base64')
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': seconds,
        'webhook-signature': `v1,${hmac}`,
      }

      expect(verify({ scheme, secrets: [secret], headers, rawBody: bytes(''), now }).ok).toBe(false)
    },
  )
})

describe('keys', () => {
  it('a public key is never taken as a shared secret', () => {
    const key = Buffer.from(ed25519.verify.slice(5), 'base64')
    const seconds = String(now.getTime() / 1000)
    const hmac = createHmac('sha256', key).update(`m.${seconds}.`).digest('base64')
    const headers = {
      'webhook-id': 'm',
      'webhook-timestamp': seconds,
      'webhook-signature': `v1,${hmac}`,
    }

    expect(
      verify({
        scheme: 'standard-webhooks',
        secrets: [ed25519.verify],
        headers,
        rawBody: bytes(''),
        now,
      }),
    ).toEqual({ ok: false, reason: 'mismatch' })
  })

  it('several secrets of both kinds sign side by side, and each verifies', () => {
    const rawBody = bytes('{}')
    const headers = sign({
      scheme: 'standard-webhooks',
      secrets: [secret, ed25519.sign],
      id: 'm',
      timestamp: now,
      rawBody,
    })

    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2)
    for (const one of [secret, ed25519.verify, ed25519.sign]) {
      expect(
        verify({ scheme: 'standard-webhooks', secrets: [one], headers, rawBody, now }).ok,
      ).toBe(true)
    }
  })

  it.each(['whsec_', 'whsec_!!!', '=', 'whpk_AAAA', 'whsk_AAAA'])(
    '"%s" signs nothing and verifies nothing',
    (bad) => {
      const rawBody = bytes('{}')
      const headers = sign({
        scheme: 'standard-webhooks',
        secrets: [secret],
        id: 'm',
        timestamp: now,
        rawBody,
      })

      expect(
        verify({ scheme: 'standard-webhooks', secrets: [bad], headers, rawBody, now }).ok,
      ).toBe(false)
      expect(() =>
        sign({ scheme: 'standard-webhooks', secrets: [bad], id: 'm', timestamp: now, rawBody }),
      ).toThrow(expect.objectContaining({ code: 'WEBHOOK_SIGN_INVALID' }))
    },
  )

  it('signatures of versions that nobody knows are passed over', () => {
    const rawBody = bytes('{}')
    const headers = sign({
      scheme: 'standard-webhooks',
      secrets: [secret],
      id: 'm',
      timestamp: now,
      rawBody,
    })
    const signature = `v9,xyz ${headers['webhook-signature']}`

    expect(
      verify({
        scheme: 'standard-webhooks',
        secrets: [secret],
        headers: { ...headers, 'webhook-signature': signature },
        rawBody,
        now,
      }).ok,
    ).toBe(true)
    expect(
      verify({
        scheme: 'standard-webhooks',
        secrets: [secret],
        headers: { ...headers, 'webhook-signature': 'v9,xyz' },
        rawBody,
        now,
      }),
    ).toEqual({ ok: false, reason: 'mismatch' })
  })
})
