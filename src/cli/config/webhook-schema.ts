import type { Rule } from './rule.ts'

// What may stand under `webhooks:`.

const text: Rule = { kind: 'text' }
/** Also one that Treaty makes at the first start and keeps in the store. */
const secret: Rule = { kind: 'text', secret: 'made' }
const whole: Rule = { kind: 'integer', min: 1, max: 1_000_000_000 }
const duration: Rule = { kind: 'duration' }
const size: Rule = { kind: 'size' }
const share: Rule = { kind: 'text', pattern: /^\d+(\.\d+)?%$/, expected: 'a share such as 20%' }
const rate: Rule = {
  kind: 'text',
  pattern: /^\d*[1-9]\d*(\.\d+)?\/(s|m|h)$/,
  expected: 'a rate such as 10/s, 600/m or 5000/h',
}
const choice = (...choices: readonly string[]): Rule => ({ kind: 'text', choices })
const list = (items: Rule): Rule => ({ kind: 'list', items })
const listOrOne = (items: Rule): Rule => ({ kind: 'list', items, orOne: true })
const map = (keys: Readonly<Record<string, Rule>>, required: readonly string[] = []) =>
  ({ kind: 'map', keys, required }) as const

const field = { header: text, field: text }

/** An HMAC scheme as data, as `verify` takes it. */
const hmac = map(
  {
    kind: choice('hmac'),
    header: text,
    prefix: text,
    format: choice('raw', 'kv', 'list'),
    separator: text,
    key: text,
    algorithm: choice('sha1', 'sha256', 'sha512'),
    encoding: choice('hex', 'base64'),
    secretEncoding: choice('utf8', 'base64', 'hex'),
    content: text,
    id: map({ header: text }, ['header']),
    timestamp: map({ header: text, key: text, unit: choice('s', 'ms') }, ['unit']),
    toleranceSeconds: whole,
  },
  ['header', 'format', 'algorithm', 'encoding', 'secretEncoding', 'content'],
)

const verify = map(
  {
    scheme: {
      kind: 'either',
      text: choice(
        'standard-webhooks',
        'svix',
        'stripe',
        'github',
        'slack',
        'shopify',
        'twilio',
        'hubspot-v3',
        'discord',
      ),
      map: hmac,
    },
    secrets: listOrOne(secret),
    tolerance: duration,
    publicUrl: text,
  },
  ['scheme', 'secrets'],
)

const source = map(
  {
    path: text,
    verify: { kind: 'either', text: choice('unsigned'), map: verify },
    event: {
      kind: 'either',
      text,
      map: map({
        ...field,
        prefix: text,
        map: { kind: 'names', values: text },
        otherwise: choice('ignore', 'quarantine'),
      }),
    },
    data: text,
    map: text,
    handle: text,
    as: text,
    onInvalid: choice('quarantine', 'reject'),
    handshakes: list(
      map(
        {
          kind: choice(
            'slack',
            'discord',
            'treaty',
            'zoom',
            'twitter',
            'meta',
            'cloudevents',
            'query',
            'body',
          ),
          verifyToken: secret,
          origins: list(text),
          ratePerMinute: whole,
          parameter: text,
          when: list(text),
          echo: text,
        },
        ['kind'],
      ),
    ),
    dedupe: map({
      by: choice('claims', 'bus'),
      window: duration,
      lease: duration,
      key: map(field),
    }),
    limits: map({
      body: size,
      bodyTime: duration,
      rate,
      burst: whole,
      concurrent: whole,
      handle: duration,
      contentTypes: list(text),
    }),
    keepBytes: { kind: 'truth' },
    status: { kind: 'integer', min: 200, max: 204 },
  },
  ['verify'],
)

const sender = map({
  name: text,
  consumers: listOrOne(text),
  schedule: list(duration),
  jitter: share,
  timeout: duration,
  overloadDelay: duration,
  concurrency: whole,
  disable: map({ failingFor: duration, failures: whole, alertAt: list(share) }),
  egress: map({
    https: choice('required', 'optional'),
    privateNetworks: choice('deny', 'allow'),
    ports: {
      kind: 'list',
      items: { kind: 'either', text: choice('any'), map: { kind: 'integer', min: 1, max: 65_535 } },
      orOne: true,
    },
  }),
  body: size,
  oversize: choice('thin', 'refuse'),
  href: text,
  verification: choice('none', 'challenge', 'cloudevents'),
  origin: text,
  secretOverlap: duration,
  retention: duration,
  sealKey: secret,
})

const endpoint = map(
  {
    url: { kind: 'text', url: true },
    events: listOrOne(text),
    filter: text,
    secret,
    algorithm: choice('hmac-sha256', 'ed25519'),
    order: choice('none', 'key', 'fifo'),
    onExhausted: choice('skip', 'stop'),
    rate,
    concurrency: { kind: 'integer', min: 1, max: 1000 },
    schedule: list(duration),
    timeout: duration,
    headers: { kind: 'names', values: text },
    description: text,
  },
  ['url'],
)

/** The section `webhooks:`. */
export const webhookSchema: Rule = map({
  sources: { kind: 'names', values: source },
  sender,
  endpoints: { kind: 'names', values: endpoint },
})
