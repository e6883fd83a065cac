import type { FastifyInstance } from 'fastify'
import type { JsonObject } from '../../core/json.ts'
import { callerOf } from '../caller.ts'
import type { FacadeState } from './facade-state.ts'
import {
  type ChangeQuery,
  changeQuery,
  forms,
  type ListQuery,
  listQuery,
  pageOf,
  params,
  schemaBody,
  schemaBytesMax,
  schemaInput,
  schemaView,
  subjectOf,
} from './forms.ts'

const read = { access: 'read', protocol: 'confluent' } as const
const write = { access: 'write', programs: true, protocol: 'confluent' } as const
/** Asks without changing anything, but by POST. */
const ask = { access: 'read', programs: true, protocol: 'confluent' } as const

/** Subjects, their versions, and whether another version would do. */
export function registerSubjectRoutes(app: FastifyInstance, state: FacadeState): void {
  registerReading(app, state)
  registerVersionReading(app, state)
  registerWriting(app, state)
  registerRemoval(app, state)
  registerCompatibility(app, state)
}

function registerReading(app: FastifyInstance, state: FacadeState): void {
  app.get<{ Querystring: ListQuery }>(
    '/subjects',
    {
      config: read,
      schema: {
        summary: 'Confluent: subjects',
        querystring: listQuery,
        response: { 200: forms.names },
      },
    },
    async ({ query }) => {
      const { subjectPrefix: prefix = '', deleted, deletedOnly } = query
      return pageOf(await state.subjects().subjects({ prefix, deleted, deletedOnly }), query)
    },
  )
  app.get<{ Querystring: ListQuery; Params: { subject: string } }>(
    '/subjects/:subject/versions',
    {
      config: read,
      schema: {
        summary: 'Confluent: versions of a subject',
        params: params('subject'),
        querystring: listQuery,
        response: { 200: forms.numbers },
      },
    },
    async (request) => {
      const { query } = request
      return pageOf(await state.subjects().versions(subjectOf(request), query), query)
    },
  )
}

type VersionRoute = { Querystring: ListQuery; Params: { subject: string; version: string } }

function registerVersionReading(app: FastifyInstance, state: FacadeState): void {
  app.get<VersionRoute>(
    '/subjects/:subject/versions/:version',
    {
      config: read,
      schema: {
        summary: 'Confluent: one version, a number or latest',
        params: params('subject', 'version'),
        querystring: listQuery,
        response: { 200: forms.subject },
      },
    },
    async (request) => {
      const { params: path, query } = request
      return schemaView(await state.subjects().version(subjectOf(request), path.version, query))
    },
  )
  app.get<VersionRoute>(
    '/subjects/:subject/versions/:version/schema',
    {
      config: read,
      schema: {
        summary: 'Confluent: the schema of one version alone',
        params: params('subject', 'version'),
        querystring: listQuery,
      },
    },
    async (request) => {
      const { params: path, query } = request
      const found = await state.subjects().version(subjectOf(request), path.version, query)
      return JSON.parse(found.schema) as JsonObject
    },
  )
  app.get<VersionRoute>(
    '/subjects/:subject/versions/:version/referencedby',
    {
      config: read,
      schema: {
        summary: 'Confluent: ids of the schemas that refer to a version',
        params: params('subject', 'version'),
        response: { 200: forms.numbers },
      },
    },
    async (request) => state.subjects().referencedBy(subjectOf(request), request.params.version),
  )
}

type SchemaRoute = {
  Querystring: ChangeQuery
  Params: { subject: string; version: string }
  Body: JsonObject
}

function options({ normalize }: ChangeQuery): { normalize?: boolean } {
  return normalize === undefined ? {} : { normalize }
}

function registerWriting(app: FastifyInstance, state: FacadeState): void {
  app.post<SchemaRoute>(
    '/subjects/:subject/versions',
    {
      config: write,
      bodyLimit: schemaBytesMax,
      schema: {
        summary: 'Confluent: register a schema',
        params: params('subject'),
        querystring: changeQuery,
        body: schemaBody,
        response: { 200: forms.subject },
      },
    },
    async (request) => {
      const { query, body } = request
      const by = callerOf(request)
      const subjects = state.subjects()
      const done = await subjects.register(subjectOf(request), schemaInput(body), {
        ...options(query),
        by,
      })
      const { subject: _subject, ...view } = schemaView(done)
      return view
    },
  )
  app.post<SchemaRoute>(
    '/subjects/:subject',
    {
      config: ask,
      bodyLimit: schemaBytesMax,
      schema: {
        summary: 'Confluent: the version that has a schema',
        params: params('subject'),
        querystring: changeQuery,
        body: schemaBody,
        response: { 200: forms.subject },
      },
    },
    async (request) => {
      const { query, body } = request
      const subjects = state.subjects()
      const found = await subjects.lookup(subjectOf(request), schemaInput(body), {
        ...options(query),
        deleted: query.deleted,
      })
      return schemaView(found)
    },
  )
}

function registerRemoval(app: FastifyInstance, state: FacadeState): void {
  app.delete<SchemaRoute>(
    '/subjects/:subject',
    {
      config: write,
      schema: {
        summary: 'Confluent: delete a subject',
        params: params('subject'),
        querystring: changeQuery,
        response: { 200: forms.numbers },
      },
    },
    async (request) => {
      const { permanent } = request.query
      const by = callerOf(request)
      return state.subjects().removeSubject(subjectOf(request), { permanent, by })
    },
  )
  app.delete<SchemaRoute>(
    '/subjects/:subject/versions/:version',
    {
      config: write,
      schema: {
        summary: 'Confluent: delete a version',
        params: params('subject', 'version'),
        querystring: changeQuery,
        response: { 200: { type: 'integer' } },
      },
    },
    async (request, reply) => {
      const { query, params: path } = request
      const done = await state.subjects().removeVersion(subjectOf(request), path.version, {
        permanent: query.permanent,
        by: callerOf(request),
      })
      // A bare number would be taken for a status.
      return reply.type('application/vnd.schemaregistry.v1+json').send(String(done))
    },
  )
}

function registerCompatibility(app: FastifyInstance, state: FacadeState): void {
  for (const path of ['/versions/:version', '/versions']) {
    const names = path === '/versions' ? ['subject'] : ['subject', 'version']
    app.post<SchemaRoute>(
      `/compatibility/subjects/:subject${path}`,
      {
        config: ask,
        bodyLimit: schemaBytesMax,
        schema: {
          summary: 'Confluent: would this schema be taken',
          params: params(...names),
          querystring: changeQuery,
          body: schemaBody,
          response: { 200: forms.compatibility },
        },
      },
      async (request) => {
        const { query, body, params: given } = request
        const subjects = state.subjects()
        const messages = await subjects.test(
          subjectOf(request),
          path === '/versions' ? undefined : given.version,
          schemaInput(body),
        )
        return { is_compatible: messages.length === 0, ...(query.verbose ? { messages } : {}) }
      },
    )
  }
}
