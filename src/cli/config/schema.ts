import type { Rule } from './rule.ts'
import { webhookSchema } from './webhook-schema.ts'

const text: Rule = { kind: 'text' }
const secret: Rule = { kind: 'text', secret: true }
const whole: Rule = { kind: 'integer', min: 1, max: 1_000_000_000 }
const duration: Rule = { kind: 'duration' }
const share: Rule = { kind: 'text', pattern: /^\d+(\.\d+)?%$/, expected: 'a share such as 20%' }
const rate: Rule = {
  kind: 'text',
  pattern: /^(?=[\d.]*[1-9])\d+(\.\d+)?\/(s|m|h)$/,
  expected: 'a rate such as 10/s, 600/m or 5000/h',
}
const map = (keys: Readonly<Record<string, Rule>>): Rule => ({ kind: 'map', keys })

/** How a connector proves itself; every secret by reference. */
const connectorAuth = map({
  type: { kind: 'text', choices: ['apiKey', 'bearer', 'basic', 'oauth2', 'token', 'hmac'] },
  in: { kind: 'text', choices: ['header', 'query'] },
  name: text,
  value: secret,
  prefix: text,
  token: secret,
  user: text,
  password: secret,
  grant: { kind: 'text', choices: ['client_credentials', 'refresh_token', 'jwt_bearer'] },
  tokenUrl: text,
  clientId: text,
  clientSecret: secret,
  clientAuth: { kind: 'text', choices: ['basic', 'body', 'private_key_jwt', 'none'] },
  privateKey: secret,
  refreshToken: secret,
  keyId: text,
  algorithm: text,
  scope: { kind: 'list', items: text, orOne: true },
  audience: text,
  subject: text,
  issuer: text,
  secret,
  header: text,
  content: text,
  format: text,
  encoding: { kind: 'text', choices: ['hex', 'base64'] },
  secretEncoding: { kind: 'text', choices: ['utf8', 'base64', 'hex'] },
  timestamp: map({ header: text, unit: { kind: 'text', choices: ['s', 'ms'] } }),
  nonceHeader: text,
  request: {
    kind: 'map',
    required: ['url'],
    keys: {
      url: text,
      method: text,
      headers: { kind: 'names', values: text },
      body: { kind: 'names', values: text },
      format: { kind: 'text', choices: ['json', 'form'] },
    },
  },
  tokenPath: text,
  expiresInPath: text,
  ttl: duration,
  share: { kind: 'text', choices: ['store', 'off'] },
})

const connector: Rule = map({
  type: { kind: 'text', choices: ['rest'] },
  contract: text,
  baseUrl: { kind: 'text', url: true },
  auth: connectorAuth,
  tls: map({ ca: secret, cert: secret, key: secret, passphrase: secret, servername: text }),
  headers: { kind: 'names', values: text },
  egress: map({
    https: { kind: 'text', choices: ['required', 'optional'] },
    privateNetworks: { kind: 'text', choices: ['deny', 'allow'] },
    ports: { kind: 'list', items: { kind: 'integer', min: 1, max: 65_535 } },
  }),
  operations: {
    kind: 'names',
    values: map({
      idempotent: { kind: 'truth' },
      paginate: {
        kind: 'map',
        required: ['type'],
        keys: {
          type: { kind: 'text', choices: ['cursor', 'page', 'offset', 'link'] },
          param: text,
          next: text,
          items: text,
          start: { kind: 'integer', min: 0, max: 1_000_000_000 },
          size: whole,
          limitParam: text,
          limit: whole,
          maxPages: whole,
        },
      },
    }),
  },
  idempotency: map({
    header: text,
    format: { kind: 'text', choices: ['structured', 'plain'] },
  }),
  resilience: map({
    timeout: map({ attempt: duration, total: duration }),
    retry: map({
      attempts: whole,
      backoff: map({
        base: duration,
        cap: duration,
        jitter: { kind: 'text', choices: ['full', 'none'] },
      }),
      budget: share,
      maxRetryAfter: duration,
    }),
    breaker: map({
      window: duration,
      minCalls: whole,
      failureRate: share,
      consecutive: whole,
      slowCall: duration,
      slowRate: share,
      open: duration,
      probes: whole,
    }),
    rateLimit: {
      kind: 'map',
      required: ['rate'],
      keys: {
        rate,
        burst: whole,
        scope: { kind: 'text', choices: ['process', 'cluster'] },
        redis: { kind: 'text', url: true },
        replicas: whole,
        adaptive: { kind: 'text', choices: ['headers', 'off'] },
        maxWait: duration,
        maxQueue: whole,
      },
    },
    bulkhead: {
      kind: 'map',
      required: ['concurrent'],
      keys: { concurrent: whole, queue: { kind: 'integer', min: 0, max: 1_000_000 } },
    },
    hedge: map({ delay: duration }),
    fallback: {
      kind: 'map',
      oneOf: ['value', 'cached', 'alternate', 'queue'],
      keys: {
        value: { kind: 'any' },
        cached: {
          kind: 'map',
          required: ['maxAge'],
          keys: { maxAge: duration, entries: whole },
        },
        alternate: { kind: 'text', url: true },
        queue: { kind: 'text', choices: ['store'] },
      },
    },
  }),
})

const paths: Rule = { kind: 'list', items: text, orOne: true }

/** A database of the caller's own transactions; a whole URL may be a secret, too. */
const database: Rule = {
  kind: 'text',
  url: true,
  pattern: /^(postgres(ql)?:\/\/|sqlite:|file:|secret:\/\/)\S|^[^:\s][^:]*$/i,
  expected: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:FILE',
}

const schemaRegistry: Rule = {
  kind: 'map',
  required: ['url'],
  keys: {
    url: {
      kind: 'text',
      url: true,
      pattern: /^(https?|secret):\/\/\S/i,
      expected: 'an address such as http://HOST:PORT',
    },
    auth: {
      kind: 'map',
      oneOf: ['password', 'token'],
      needs: { password: 'user', user: 'password' },
      keys: { user: text, password: secret, token: secret },
    },
    subject: { kind: 'text', choices: ['topic', 'record', 'topic-record'] },
    register: { kind: 'truth' },
    timeout: duration,
  },
}

/** What a configuration file may hold. Paths are meant from its folder. */
export const configSchema: Rule & { kind: 'map' } = {
  kind: 'map',
  keys: {
    contracts: paths,
    transport: { kind: 'text', url: true },
    store: { kind: 'text', url: true },
    outbox: map({
      url: database,
      relay: { kind: 'truth' },
      failuresMax: { kind: 'integer', min: 1, max: 1_000_000 },
      onParked: { kind: 'text', choices: ['next', 'block'] },
    }),
    inbox: { kind: 'map', required: ['url'], keys: { url: database } },
    schemaRegistry,
    service: text,
    profile: { kind: 'text', choices: ['default', 'seed-compat', 'strict-ids'] },
    handlers: paths,
    feeds: {
      kind: 'names',
      values: { kind: 'map', required: ['module'], keys: { module: text, as: text } },
    },
    show: { kind: 'names', values: text },
    services: {
      kind: 'names',
      values: {
        kind: 'map',
        oneOf: ['command', 'module'],
        keys: {
          command: text,
          module: text,
          args: { kind: 'list', items: text },
          env: { kind: 'names', values: text },
          restart: { kind: 'text', choices: ['always', 'on-failure', 'never'] },
          cwd: text,
        },
      },
    },
    server: {
      kind: 'map',
      keys: {
        port: { kind: 'integer', min: 0, max: 65_535 },
        host: text,
        allowedHosts: { kind: 'list', items: text, orOne: true },
        rateLimit: { kind: 'map', required: ['rate'], keys: { rate, burst: whole } },
        keys: {
          kind: 'list',
          items: {
            kind: 'map',
            required: ['name', 'scopes'],
            oneOf: ['key', 'sha256'],
            keys: {
              name: text,
              scopes: {
                kind: 'list',
                orOne: true,
                items: { kind: 'text', choices: ['read', 'write', 'metrics'] },
              },
              key: { kind: 'text', secret: true },
              sha256: {
                kind: 'text',
                pattern: /^[0-9a-f]{64}$/i,
                expected: 'a SHA-256 digest of 64 hexadecimal digits',
              },
            },
          },
        },
      },
    },
    connectors: { kind: 'names', values: connector },
    webhooks: webhookSchema,
    limits: {
      kind: 'map',
      keys: {
        messageBytesMax: { kind: 'integer', min: 1024, max: 1_073_741_824 },
        drain: { kind: 'duration' },
        lease: { kind: 'duration' },
      },
    },
  },
}
