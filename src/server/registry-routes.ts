import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import type { ContractVersion, Registry } from '../registry/index.ts'
import { callerOf } from './caller.ts'
import { registerDeploymentRoutes } from './registry-deployment-routes.ts'
import { contractBytesMax, nameForm, registryAnswers, registryBodies } from './registry-forms.ts'
import { registerQuestions } from './registry-question-routes.ts'
import { registerSchemaUrls, schemaPath } from './registry-schema-routes.ts'
import { pathParams } from './route-schemas.ts'
import { registryOf, type ServerState } from './state.ts'

const read = { access: 'read' } as const
const write = { access: 'write' } as const

/** The registry's own API: versions, events, consumers, environments, deployments, reviews, history. */
export function registerRegistryRoutes(app: FastifyInstance, state: ServerState): void {
  registerVersions(app, state)
  registerRegistration(app, state)
  registerReviews(app, state)
  registerEvents(app, state)
  registerConsumers(app, state)
  registerDeploymentRoutes(app, state)
  registerSchemaUrls(app, state)
  registerQuestions(app, state)
}

/** A version as the API gives it: with the path of its content. */
export function versionView(version: ContractVersion) {
  const { id } = version
  const path = `/api/contracts/${encodeURIComponent(id)}/versions/${encodeURIComponent(version.version)}`
  return { ...version, href: path }
}

function registerVersions(app: FastifyInstance, state: ServerState): void {
  app.get<{ Params: { id: string } }>(
    '/api/contracts/:id/versions',
    {
      config: read,
      schema: {
        summary: 'Registered versions of a contract, the lowest first',
        params: pathParams('id'),
        response: { 200: registryAnswers.versions },
      },
    },
    async ({ params }) => {
      const versions = await registryOf(state).versions(params.id)
      if (versions.length > 0) return { items: versions.map(versionView) }
      throw new TreatyError('CONTRACT_NOT_FOUND', `no contract \`${params.id}\` is registered`, {
        hint: 'List what there is with GET /api/contracts.',
        details: { id: params.id },
      })
    },
  )
  app.get<{ Params: { hash: string } }>(
    '/api/hashes/:hash',
    {
      config: read,
      schema: {
        summary: 'The version that has this content',
        params: pathParams('hash'),
        response: { 200: registryAnswers.version },
      },
    },
    async ({ params }) => {
      const found = await registryOf(state).byHash(params.hash)
      if (found) return versionView(found)
      throw new TreatyError('CONTRACT_NOT_FOUND', 'no contract has this content', {
        details: { hash: params.hash },
      })
    },
  )
}

function registerRegistration(app: FastifyInstance, state: ServerState): void {
  app.post<{ Body: JsonObject; Querystring: { dryRun: boolean } }>(
    '/api/contracts',
    {
      config: write,
      bodyLimit: contractBytesMax,
      schema: {
        summary: 'Register a version of a contract; 201 when it is new, 200 when it was there',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: {
            dryRun: { type: 'boolean', default: false, description: 'Judge, but keep nothing.' },
          },
        },
        body: registryBodies.contract,
        response: {
          200: { anyOf: [registryAnswers.registered, registryAnswers.findings] },
          201: registryAnswers.registered,
        },
      },
    },
    async (request, reply) => {
      const { body, query } = request
      const registry = registryOf(state)
      if (query.dryRun) return { findings: await registry.checkSource(body) }
      const done = await registry.registerSource(body, callerOf(request))
      return reply
        .code(done.created ? 201 : 200)
        .send({ ...done, version: versionView(done.version) })
    },
  )
}

interface ReviewBody {
  consumer: string
  digest: string
  by?: string
  at?: string
}

function registerReviews(app: FastifyInstance, state: ServerState): void {
  app.post<{ Params: { id: string; version: string }; Body: ReviewBody }>(
    '/api/contracts/:id/versions/:version/reviews',
    {
      config: write,
      schema: {
        summary: 'Record that a consumer has read this content',
        params: pathParams('id', 'version'),
        body: registryBodies.review,
        response: { 200: registryAnswers.version },
      },
    },
    async (request) => {
      const { params, body } = request
      const { by = callerOf(request), ...review } = body
      const { id: contract, version } = params
      return versionView(await registryOf(state).review({ contract, version, ...review }, by))
    },
  )
}

interface EventQuery {
  name?: string
  contract?: string
  allVersions: boolean
}

function registerEvents(app: FastifyInstance, state: ServerState): void {
  app.get<{ Querystring: EventQuery }>(
    '/api/events',
    {
      config: read,
      schema: {
        summary: 'Events and commands, with who produces and who consumes them',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: {
            name: { ...nameForm, description: 'A part of the name.' },
            contract: nameForm,
            allVersions: { type: 'boolean', default: false, description: 'Not only the latest.' },
          },
        },
        response: { 200: registryAnswers.messages },
      },
    },
    async ({ query }) => {
      const found = await registryOf(state).messages(query)
      return {
        items: found.map((message) => ({
          ...message,
          schema: schemaPath(message.name, message.version),
        })),
      }
    },
  )
}

type Push = Parameters<Registry['pushConsumer']>[0]

function registerConsumers(app: FastifyInstance, state: ServerState): void {
  const filter = {
    type: 'object',
    additionalProperties: false,
    properties: { contract: nameForm, consumer: nameForm, environment: nameForm },
  }
  app.get<{ Querystring: { contract?: string; consumer?: string; environment?: string } }>(
    '/api/consumers',
    {
      config: read,
      schema: {
        summary: 'Consumers that registered themselves',
        querystring: filter,
        response: { 200: registryAnswers.consumers },
      },
    },
    async ({ query }) => ({ items: await registryOf(state).consumers(query) }),
  )
  app.post<{ Body: Push }>(
    '/api/consumers',
    {
      config: write,
      bodyLimit: contractBytesMax,
      schema: {
        summary: "Register a consumer's entry, from its own repository",
        body: registryBodies.consumer,
        response: { 200: registryAnswers.consumer },
      },
    },
    async (request) => registryOf(state).pushConsumer(request.body, callerOf(request)),
  )
  app.delete<{ Querystring: { contract: string; consumer: string; version: string } }>(
    '/api/consumers',
    {
      config: write,
      schema: {
        summary: 'Withdraw the entry of one version of a consumer',
        querystring: registryBodies.withdrawal,
        response: { 200: registryAnswers.done },
      },
    },
    async (request) => {
      const { query } = request
      if (await registryOf(state).withdrawConsumer(query, callerOf(request))) {
        return { done: 'withdrawn' }
      }
      throw new TreatyError(
        'CONSUMER_NOT_FOUND',
        `${query.consumer} ${query.version} is not registered with ${query.contract}`,
        { hint: 'List what there is with GET /api/consumers.' },
      )
    },
  )
}
