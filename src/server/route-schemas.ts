import type { JsonSchema } from '../contracts/index.ts'
import type { JsonObject } from '../core/json.ts'

/** Most items of one page. */
export const pageLimitMax = 1000

const text = { type: 'string' } as const
const count = { type: 'integer', minimum: 0 } as const
const nullableText = { type: ['string', 'null'] } as const

/** An object whose properties are all required, except those that `optional` names. */
function object(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required }
}

function page(item: JsonSchema): JsonObject {
  return object(
    {
      items: { type: 'array', items: item },
      next: {
        ...text,
        description: 'Give it back as cursor for the next page; absent on the last.',
      },
    },
    ['next'],
  )
}

/** Query of every list. */
export function pageQuery(more: JsonObject = {}): JsonObject {
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: pageLimitMax,
        default: 50,
        description: 'Items of one page.',
      },
      cursor: {
        type: 'string',
        minLength: 1,
        maxLength: 512,
        description: 'The `next` of the page before.',
      },
      ...more,
    },
  }
}

/** Path parameters: text of 1 to 200 characters each. */
export function pathParams(...names: readonly string[]): JsonObject {
  return object(
    Object.fromEntries(
      names.map((name) => [name, { type: 'string', minLength: 1, maxLength: 200 }]),
    ),
  )
}

const counts = {
  published: { ...count, description: 'Messages that were published.' },
  deliveries: {
    ...count,
    description: 'Message × consumer; handled + skipped + dead + expired + waiting.',
  },
  handled: count,
  skipped: { ...count, description: 'Of events that the consumer does not list.' },
  retried: { ...count, description: 'Failed attempts that were followed by another.' },
  dead: count,
  expired: count,
  waiting: count,
}

const finding = object(
  {
    code: text,
    message: text,
    severity: { enum: ['error', 'warning', 'info'] },
    hint: text,
    pointer: { ...text, description: 'JSON Pointer into the value (RFC 6901).' },
    event: text,
    consumer: text,
  },
  ['hint', 'pointer', 'event', 'consumer'],
)

const bytes = object({ encoding: { enum: ['utf8', 'base64'] }, content: text })

const deadLetter = {
  id: text,
  messageId: text,
  event: text,
  consumer: { ...nullableText, description: 'Null: refused before any consumer.' },
  reason: { ...text, description: 'A code; GET /errors/{code} explains it.' },
  message: nullableText,
  findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
  attempts: count,
  firstFailedAt: { type: 'string', format: 'date-time' },
  failedAt: { type: 'string', format: 'date-time' },
  correlationId: nullableText,
  key: nullableText,
} as const satisfies JsonObject

const contractSummary = object({
  id: text,
  version: text,
  status: { enum: ['draft', 'active', 'deprecated'] },
  purpose: text,
  owner: { type: ['object', 'null'] },
  hash: text,
  events: { type: 'array', items: text },
  commands: { type: 'array', items: text },
  producers: { type: 'array', items: text },
  consumers: { type: 'array', items: text },
  href: text,
})

const consumerState = object({
  consumer: text,
  state: { enum: ['waiting', 'in-flight', 'retrying', 'blocked', 'dead', 'done'] },
  attempts: count,
})

const message = object({
  id: text,
  event: text,
  position: text,
  publishedAt: { type: 'string', format: 'date-time' },
  correlationId: nullableText,
  causationId: nullableText,
  key: nullableText,
  message: {
    type: ['object', 'null'],
    description: 'Null: the bytes cannot be read as a message.',
  },
  consumers: { type: 'array', items: consumerState },
})

/** Schemas that other schemas point to, as `components` of the OpenAPI document. */
export const componentSchemas = {
  Finding: finding,
  Fault: {
    ...object({ error_code: { type: 'integer' }, message: text }),
    description: 'An error of the Confluent Schema Registry protocol.',
  },
  Problem: {
    ...object(
      {
        type: text,
        title: text,
        status: { type: 'integer' },
        detail: text,
        code: text,
        hint: text,
        details: { type: 'object' },
        findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
        requestId: text,
      },
      ['hint', 'details', 'findings'],
    ),
    description: 'An error (RFC 9457). Branch on code.',
  },
} satisfies JsonObject

/** Bodies of the answers, for the OpenAPI document. */
export const answers = {
  stats: object({ ...counts, byEvent: { type: 'object', additionalProperties: object(counts) } }),
  deadPage: page(object(deadLetter)),
  dead: object(
    {
      ...deadLetter,
      address: text,
      contentType: text,
      headers: { type: 'object', additionalProperties: text },
      body: bytes,
      stack: nullableText,
      received: {
        ...object({
          source: text,
          at: { type: 'string', format: 'date-time' },
          headers: { type: 'object', additionalProperties: text },
          body: bytes,
        }),
        description: 'What the provider of a webhook sent, where the message was made of it.',
      },
    },
    ['received'],
  ),
  done: object({ id: text, done: { enum: ['replayed', 'discarded'] } }),
  messagePage: page(message),
  trace: object({
    correlationId: text,
    entries: {
      type: 'array',
      items: object({
        depth: count,
        message: { type: 'object' },
        consumers: { type: 'array', items: consumerState },
      }),
    },
    missing: {
      type: 'array',
      items: text,
      description: 'Causes that are named but no longer kept.',
    },
  }),
  contracts: object({ items: { type: 'array', items: contractSummary } }),
  contract: { type: 'object', description: 'The whole contract, with its schemas.' },
  health: object({
    live: { type: 'boolean' },
    ready: { type: 'boolean' },
    version: text,
    problems: { type: 'array', items: text },
    dependencies: {
      type: 'array',
      items: object(
        {
          name: text,
          kind: text,
          ready: { type: 'boolean' },
          version: text,
          clockAheadMs: { type: 'number' },
          clockErrorMs: { type: 'number' },
          unsafe: { type: 'array', items: text },
          drift: { type: 'integer', description: 'Parts that are other than the contracts need.' },
        },
        ['version', 'clockAheadMs', 'clockErrorMs', 'unsafe', 'drift'],
      ),
    },
  }),
  wellKnown: object({
    treaty: { const: 1 },
    contracts: {
      type: 'array',
      items: object({
        id: text,
        version: text,
        status: text,
        hash: text,
        href: text,
        schemas: { type: 'object', additionalProperties: text },
      }),
    },
  }),
} as const satisfies Record<string, JsonObject>
