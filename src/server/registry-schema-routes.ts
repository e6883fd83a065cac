import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../core/errors.ts'
import type { RegisteredSchema } from '../registry/index.ts'
import { pathParams } from './route-schemas.ts'
import { registryOf, type ServerState } from './state.ts'
import { sendTagged } from './tagged.ts'

const read = { access: 'read' } as const
/** Media type of a JSON Schema. */
const schemaContentType = 'application/schema+json; charset=utf-8'

/** Path of the schema of a message type, in one version of its contract. */
export function schemaPath(type: string, version: string): string {
  return `/api/schemas/${encodeURIComponent(type)}/versions/${encodeURIComponent(version)}`
}

/** Schemas at addresses of their own: by type, by type and version, by `$id`. Each with an ETag. */
export function registerSchemaUrls(app: FastifyInstance, state: ServerState): void {
  app.get<{ Params: { type: string; version: string } }>(
    '/api/schemas/:type/versions/:version',
    {
      config: read,
      schema: {
        summary: 'The schema of an event or command, in one version of its contract or the latest',
        params: pathParams('type', 'version'),
        response: { 200: { type: ['object', 'boolean'] } },
      },
    },
    async (request, reply) => {
      const { type, version } = request.params
      const found = await registryOf(state).schema(type, version)
      return sendTagged(request, reply, {
        body: JSON.stringify(need(found, `\`${type}\` in version ${version}`).schema),
        contentType: schemaContentType,
      })
    },
  )
  app.get<{ Params: { type: string } }>(
    '/api/schemas/:type',
    {
      config: read,
      schema: {
        summary: 'The latest schema of an event or command',
        params: pathParams('type'),
        response: { 200: { type: ['object', 'boolean'] } },
      },
    },
    async (request, reply) => {
      const { type } = request.params
      const found = await registryOf(state).schema(type, 'latest')
      return sendTagged(request, reply, {
        body: JSON.stringify(need(found, `\`${type}\``).schema),
        contentType: schemaContentType,
      })
    },
  )
  app.get<{ Querystring: { id: string } }>(
    '/api/schemas',
    {
      config: read,
      schema: {
        summary: 'The latest schema with this $id',
        querystring: {
          type: 'object',
          additionalProperties: false,
          required: ['id'],
          properties: { id: { type: 'string', minLength: 1, maxLength: 2000 } },
        },
        response: { 200: { type: ['object', 'boolean'] } },
      },
    },
    async (request, reply) => {
      const found = await registryOf(state).schemaById(request.query.id)
      return sendTagged(request, reply, {
        body: JSON.stringify(need(found, 'this $id').schema),
        contentType: schemaContentType,
      })
    },
  )
}

function need(found: RegisteredSchema | undefined, what: string): RegisteredSchema {
  if (found) return found
  throw new TreatyError('EVENT_NOT_REGISTERED', `no registered contract has ${what}`, {
    hint: 'List events and commands with GET /api/events.',
  })
}
