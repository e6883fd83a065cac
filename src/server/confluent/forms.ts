import type { FastifyRequest } from 'fastify'
import type { JsonObject } from '../../core/json.ts'
import {
  type IdentifiedSchema,
  parseSubject,
  type SchemaInput,
  type SubjectConfig,
  type SubjectVersion,
} from '../../registry/index.ts'

/** Largest schema that is taken, in bytes of the request. */
export const schemaBytesMax = 10_485_760

/** Parameters of the query that are true or false. */
export const flagNames = [
  'deleted',
  'deletedOnly',
  'latestOnly',
  'normalize',
  'permanent',
  'verbose',
  'force',
  'defaultToGlobal',
  'fetchMaxId',
] as const

const flag = { type: 'boolean', default: false } as const
const name = { type: 'string', maxLength: 400 } as const

/** Query of the lists. */
export const listQuery: JsonObject = {
  type: 'object',
  properties: {
    deleted: flag,
    deletedOnly: flag,
    latestOnly: flag,
    subjectPrefix: name,
    subject: name,
    offset: { type: 'integer', minimum: 0, default: 0 },
    limit: { type: 'integer', default: -1 },
  },
}

export interface ListQuery {
  deleted: boolean
  deletedOnly: boolean
  latestOnly: boolean
  subjectPrefix?: string
  subject?: string
  offset: number
  limit: number
}

export const changeQuery: JsonObject = {
  type: 'object',
  properties: {
    normalize: { type: 'boolean' },
    deleted: flag,
    permanent: flag,
    verbose: flag,
    force: flag,
    defaultToGlobal: flag,
    fetchMaxId: flag,
    subject: name,
  },
}

export interface ChangeQuery {
  normalize?: boolean
  deleted: boolean
  permanent: boolean
  verbose: boolean
  force: boolean
  defaultToGlobal: boolean
  fetchMaxId: boolean
  subject?: string
}

/** A schema as clients hand it in; what is not named here is accepted and left aside. */
export const schemaBody: JsonObject = {
  type: 'object',
  required: ['schema'],
  properties: {
    schema: { type: 'string' },
    schemaType: { type: ['string', 'null'] },
    references: {
      type: ['array', 'null'],
      maxItems: 1000,
      items: {
        type: 'object',
        required: ['name', 'subject', 'version'],
        properties: { name: { type: 'string' }, subject: name, version: { type: 'integer' } },
      },
    },
    metadata: { type: ['object', 'null'] },
    ruleSet: { type: ['object', 'null'] },
    id: { type: ['integer', 'null'] },
    version: { type: ['integer', 'null'] },
  },
}

/** Bodies of the answers, for the OpenAPI document. */
export const forms = {
  subject: {
    type: 'object',
    properties: {
      subject: { type: 'string' },
      version: { type: 'integer' },
      id: { type: 'integer' },
      guid: { type: 'string' },
      schemaType: { const: 'JSON' },
      schema: { type: 'string' },
      references: { type: 'array' },
    },
    required: ['id', 'schema'],
  },
  names: { type: 'array', items: { type: 'string' } },
  numbers: { type: 'array', items: { type: 'integer' } },
  list: { type: 'array', items: { type: 'object' } },
  compatibility: {
    type: 'object',
    properties: {
      is_compatible: { type: 'boolean' },
      messages: { type: 'array', items: { type: 'string' } },
    },
    required: ['is_compatible'],
  },
  config: {
    type: 'object',
    properties: { compatibilityLevel: { type: 'string' }, compatibility: { type: 'string' } },
  },
  mode: { type: 'object', properties: { mode: { type: 'string' } }, required: ['mode'] },
} as const satisfies Record<string, JsonObject>

/** Path parameters of the facade: names may be long, and hold anything. */
export function params(...names: readonly string[]): JsonObject {
  return {
    type: 'object',
    required: names,
    properties: Object.fromEntries(names.map((one) => [one, { type: 'string', maxLength: 400 }])),
  }
}

/** The subject of a path, as it is kept. @throws SUBJECT_REFUSED (42208) */
export function subjectOf(request: FastifyRequest): string {
  return parseSubject((request.params as { subject?: string }).subject ?? '').full
}

/** The body without its nulls, which other clients write for what they do not say. */
export function schemaInput(body: JsonObject): SchemaInput {
  const said = Object.entries(body).filter(([, value]) => value !== null)
  const input = Object.fromEntries(said) as unknown as SchemaInput
  const references = input.references?.map((one) => ({
    ...one,
    subject: parseSubject(one.subject).full,
  }))
  return { ...input, ...(references ? { references } : {}) }
}

/** A schema as clients get it; empty references are left out. */
export function schemaView(schema: SubjectVersion | IdentifiedSchema): JsonObject {
  const { references, ...rest } = schema
  const { deleted, ...visible } = rest as Partial<SubjectVersion>
  return {
    ...(visible as unknown as JsonObject),
    ...(references.length > 0 ? { references: references as unknown as JsonObject[] } : {}),
    ...(deleted === true ? { deleted } : {}),
  }
}

/** Settings as clients get them: `compatibilityLevel` when read, `compatibility` when written. */
export function configView(
  config: SubjectConfig,
  levelName: 'compatibilityLevel' | 'compatibility',
): JsonObject {
  const { compatibilityLevel, others, ...rest } = config
  return {
    ...(others ?? {}),
    ...rest,
    ...(compatibilityLevel === undefined ? {} : { [levelName]: compatibilityLevel }),
  }
}

/** A page of a list, as `offset` and `limit` ask; a negative limit is none. */
export function pageOf<Item>(items: readonly Item[], { offset, limit }: ListQuery): Item[] {
  return items.slice(offset, limit < 0 ? undefined : offset + limit)
}
