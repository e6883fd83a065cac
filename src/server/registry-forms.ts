import type { JsonObject } from '../core/json.ts'

/** Largest contract that is taken, in bytes of the request. */
export const contractBytesMax = 10_485_760

const text = { type: 'string' } as const
const time = { type: 'string', format: 'date-time' } as const

/** Names of contracts, services and environments: no control characters, for they stand in keys and lines. */
export const nameForm = {
  type: 'string',
  minLength: 1,
  maxLength: 100,
  pattern: '^[^\\u0000-\\u001f\\u007f]+$',
} as const satisfies JsonObject

function object(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required }
}

function items(item: JsonObject): JsonObject {
  return object({ items: { type: 'array', items: item } })
}

/** Bodies that are closed: a field that nobody reads is a mistake of the caller. */
function body(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  return { ...object(properties, optional), additionalProperties: false }
}

const message = object(
  {
    name: text,
    kind: { enum: ['event', 'command'] },
    purpose: text,
    schemaId: text,
    deprecated: { type: 'object' },
    contract: text,
    version: text,
    producers: { type: 'array', items: text },
    consumers: { type: 'array', items: text },
    schema: { ...text, description: 'Path of the schema.' },
  },
  ['schemaId', 'deprecated'],
)

const version = object(
  {
    id: text,
    version: text,
    hash: { ...text, description: 'sha256 of the canonical JSON (RFC 8785) of the content.' },
    status: { enum: ['draft', 'active', 'deprecated'] },
    purpose: text,
    owner: { type: 'object' },
    registeredAt: time,
    by: text,
    messages: { type: 'array', items: { type: 'object' } },
    producers: { type: 'array', items: text },
    consumers: { type: 'array', items: text },
    reviews: { type: 'array', items: { type: 'object' } },
    href: text,
  },
  ['owner'],
)

const consumer = object(
  {
    contract: text,
    consumer: text,
    version: text,
    environment: text,
    since: text,
    entry: { type: 'object' },
    views: { type: 'object', description: 'Event → schema of what the consumer reads.' },
    registeredAt: time,
    by: text,
  },
  ['environment'],
)

const environment = object({ name: text, production: { type: 'boolean' }, createdAt: time })

const deployment = object({
  service: text,
  version: text,
  environment: text,
  contracts: { type: 'object', additionalProperties: text },
  deployedAt: time,
  by: text,
})

/** Which versions of contracts a build was made against. */
export const contractVersionsForm = {
  type: 'object',
  maxProperties: 1000,
  propertyNames: nameForm,
  additionalProperties: nameForm,
  description: 'Contract id → its version that this build was made against.',
} as const satisfies JsonObject

/** Bodies of requests. */
export const registryBodies = {
  contract: {
    type: 'object',
    required: ['id', 'version'],
    properties: { id: nameForm, version: nameForm },
    description: 'A contract in the shape of its file, with schemas and examples in place.',
  },
  consumer: body(
    {
      contract: nameForm,
      consumer: nameForm,
      version: {
        ...nameForm,
        description: 'Of the consumer itself: any text, a commit for example.',
      },
      environment: nameForm,
      entry: {
        type: 'object',
        required: ['accepts', 'events'],
        description: 'In the shape of a contract file.',
      },
    },
    ['environment'],
  ),
  withdrawal: body({ contract: nameForm, consumer: nameForm, version: nameForm }),
  environment: body({ name: nameForm, production: { type: 'boolean' } }),
  deployment: body(
    {
      service: nameForm,
      version: nameForm,
      environment: nameForm,
      contracts: contractVersionsForm,
      production: {
        type: 'boolean',
        description:
          'Kind of an environment that is not there yet. Default: true where its name begins with prod.',
      },
    },
    ['contracts', 'production'],
  ),
  review: body(
    {
      consumer: nameForm,
      digest: { type: 'string', minLength: 1, maxLength: 100 },
      by: { ...nameForm, description: 'Who has read it. Default: the name of the key.' },
      at: { ...nameForm, description: 'When, ISO 8601. Default: now.' },
    },
    ['by', 'at'],
  ),
} as const satisfies Record<string, JsonObject>

/** Bodies of answers. */
export const registryAnswers = {
  registered: object({
    version,
    created: { type: 'boolean' },
    findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
  }),
  findings: object({
    findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
  }),
  version,
  versions: items(version),
  messages: items(message),
  consumer,
  consumers: items(consumer),
  environment,
  environments: items(environment),
  deployment,
  deployments: items(deployment),
  impact: object(
    {
      id: text,
      before: { ...text, description: 'The registered version that it was compared with.' },
      after: text,
      verdict: { enum: ['compatible', 'breaking', 'unknown'] },
      bump: { enum: ['none', 'patch', 'minor', 'major', 'unknown'] },
      nextVersion: { ...text, description: 'The least version that it may carry.' },
      messages: { type: 'object' },
      consumers: { type: 'object' },
      findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
    },
    ['nextVersion'],
  ),
  deployAnswer: object({
    service: text,
    version: text,
    environment: text,
    ok: { type: 'boolean', description: 'Nothing blocks.' },
    verdict: { enum: ['yes', 'no', 'unknown'] },
    checks: { type: 'array', items: { type: 'object' } },
    findings: { type: 'array', items: { $ref: '#/components/schemas/Finding' } },
  }),
  done: object({ done: text }),
  audit: object(
    {
      items: {
        type: 'array',
        items: object({
          position: { type: 'integer' },
          at: time,
          change: { type: 'object', required: ['kind', 'by'] },
        }),
      },
      next: {
        ...text,
        description: 'Give it back as cursor for the next page; absent on the last.',
      },
    },
    ['next'],
  ),
} as const satisfies Record<string, JsonObject>
