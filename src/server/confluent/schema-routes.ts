import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { protocolCodes } from '../../registry/index.ts'
import type { FacadeState } from './facade-state.ts'
import {
  type ChangeQuery,
  changeQuery,
  forms,
  type ListQuery,
  listQuery,
  pageOf,
  params,
  schemaView,
} from './forms.ts'

const read = { access: 'read', protocol: 'confluent' } as const

type IdRoute = { Querystring: ChangeQuery; Params: { id: string } }

/** Schemas by id, wherever they are used. */
export function registerSchemaRoutes(app: FastifyInstance, state: FacadeState): void {
  registerById(app, state)
  registerUses(app, state)
  registerByGuid(app, state)
  registerLists(app, state)
}

function registerById(app: FastifyInstance, state: FacadeState): void {
  app.get<IdRoute>(
    '/schemas/ids/:id',
    {
      config: read,
      schema: {
        summary: 'Confluent: the schema with an id',
        params: params('id'),
        querystring: changeQuery,
        response: { 200: forms.subject },
      },
    },
    async ({ params: path, query }) => {
      const subjects = state.subjects()
      const { id, ...view } = schemaView(await subjects.schemaById(idOf(path.id), query.subject))
      const maxId = query.fetchMaxId ? { maxId: await subjects.greatestId(query.subject) } : {}
      return { ...view, id, ...maxId }
    },
  )
  app.get<IdRoute>(
    '/schemas/ids/:id/schema',
    {
      config: read,
      schema: {
        summary: 'Confluent: the schema with an id, alone',
        params: params('id'),
        querystring: changeQuery,
      },
    },
    async ({ params: path, query }) => {
      const found = await state.subjects().schemaById(idOf(path.id), query.subject)
      return JSON.parse(found.schema) as JsonObject
    },
  )
}

function registerUses(app: FastifyInstance, state: FacadeState): void {
  const uses = ({ params: path, query }: { params: IdRoute['Params']; query: ChangeQuery }) =>
    state.subjects().usesOf(idOf(path.id), {
      deleted: query.deleted,
      ...(query.subject === undefined ? {} : { subject: query.subject }),
    })
  app.get<IdRoute>(
    '/schemas/ids/:id/subjects',
    {
      config: read,
      schema: {
        summary: 'Confluent: subjects that use a schema',
        params: params('id'),
        querystring: changeQuery,
        response: { 200: forms.names },
      },
    },
    async (request) => [...new Set((await uses(request)).map(({ subject }) => subject))],
  )
  app.get<IdRoute>(
    '/schemas/ids/:id/versions',
    {
      config: read,
      schema: {
        summary: 'Confluent: versions that use a schema',
        params: params('id'),
        querystring: changeQuery,
        response: { 200: forms.list },
      },
    },
    async (request) => uses(request),
  )
}

function registerByGuid(app: FastifyInstance, state: FacadeState): void {
  app.get<{ Params: { guid: string } }>(
    '/schemas/guids/:guid',
    {
      config: read,
      schema: {
        summary: 'Confluent: the schema with a globally unique id',
        params: params('guid'),
        response: { 200: forms.subject },
      },
    },
    async ({ params: path }) => {
      const { id: _id, ...view } = schemaView(await state.subjects().schemaByGuid(path.guid))
      return view
    },
  )
}

function registerLists(app: FastifyInstance, state: FacadeState): void {
  app.get<{ Querystring: ListQuery }>(
    '/schemas',
    {
      config: read,
      schema: {
        summary: 'Confluent: schemas with their subjects',
        querystring: listQuery,
        response: { 200: forms.list },
      },
    },
    async ({ query }) => {
      const { subjectPrefix: prefix = '', deleted, deletedOnly, latestOnly } = query
      const filter = { prefix, deleted, deletedOnly, latestOnly }
      return pageOf(await state.subjects().schemas(filter), query).map(schemaView)
    },
  )
  app.get(
    '/schemas/types',
    {
      config: read,
      schema: { summary: 'Confluent: kinds of schemas', response: { 200: forms.names } },
    },
    async () => ['JSON'],
  )
  app.get(
    '/contexts',
    {
      config: read,
      schema: { summary: 'Confluent: contexts', response: { 200: forms.names } },
    },
    async () => state.subjects().contexts(),
  )
}

function idOf(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new TreatyError('SUBJECT_REFUSED', `Schema ${text.slice(0, 50)} not found.`, {
    details: { errorCode: protocolCodes.schemaNotFound },
  })
}
