import type { FastifyInstance } from 'fastify'
import { TreatyError } from '../core/errors.ts'
import type { DeploymentInput } from '../registry/index.ts'
import { callerOf } from './caller.ts'
import { nameForm, registryAnswers, registryBodies } from './registry-forms.ts'
import { pageQuery, pathParams } from './route-schemas.ts'
import { registryOf, type ServerState } from './state.ts'

const read = { access: 'read' } as const
const write = { access: 'write' } as const

/** What runs where, and what happened to the registry. */
export function registerDeploymentRoutes(app: FastifyInstance, state: ServerState): void {
  registerEnvironments(app, state)
  registerDeployments(app, state)
  registerAudit(app, state)
}

function registerEnvironments(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/api/environments',
    {
      config: read,
      schema: { summary: 'Environments', response: { 200: registryAnswers.environments } },
    },
    async () => ({ items: await registryOf(state).environments() }),
  )
  app.get<{ Params: { name: string } }>(
    '/api/environments/:name',
    {
      config: read,
      schema: {
        summary: 'One environment',
        params: pathParams('name'),
        response: { 200: registryAnswers.environment },
      },
    },
    async ({ params }) => {
      const found = await registryOf(state).environment(params.name)
      if (found) return found
      throw new TreatyError('ENVIRONMENT_NOT_FOUND', `there is no environment \`${params.name}\``, {
        hint: 'List them with GET /api/environments.',
        details: { name: params.name },
      })
    },
  )
  app.post<{ Body: { name: string; production: boolean } }>(
    '/api/environments',
    {
      config: write,
      schema: {
        summary: 'Create an environment, or say whether it is production',
        body: registryBodies.environment,
        response: { 200: registryAnswers.environment },
      },
    },
    async (request) => {
      const { name, production } = request.body
      return registryOf(state).setEnvironment(name, production, callerOf(request))
    },
  )
}

function registerDeployments(app: FastifyInstance, state: ServerState): void {
  app.get<{ Querystring: { service?: string; environment?: string } }>(
    '/api/deployments',
    {
      config: read,
      schema: {
        summary: 'Versions of services that run',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { service: nameForm, environment: nameForm },
        },
        response: { 200: registryAnswers.deployments },
      },
    },
    async ({ query }) => ({ items: await registryOf(state).deployments(query) }),
  )
  app.post<{ Body: DeploymentInput }>(
    '/api/deployments',
    {
      config: write,
      schema: {
        summary: 'Record that a version of a service runs in an environment',
        body: registryBodies.deployment,
        response: { 200: registryAnswers.deployment },
      },
    },
    async (request) => registryOf(state).deploy(request.body, callerOf(request)),
  )
  app.delete<{ Params: { environment: string; service: string; version: string } }>(
    '/api/deployments/:environment/:service/:version',
    {
      config: write,
      schema: {
        summary: 'Record that it runs no more',
        params: pathParams('environment', 'service', 'version'),
        response: { 200: registryAnswers.done },
      },
    },
    async (request) => {
      await registryOf(state).undeploy(request.params, callerOf(request))
      return { done: 'undeployed' }
    },
  )
}

function registerAudit(app: FastifyInstance, state: ServerState): void {
  app.get<{ Querystring: { limit: number; cursor?: string } }>(
    '/api/audit',
    {
      config: read,
      schema: {
        summary: 'What happened to the registry, the oldest first',
        querystring: pageQuery(),
        response: { 200: registryAnswers.audit },
      },
    },
    async ({ query: { limit, cursor = '0' } }) => {
      if (!/^\d{1,15}$/.test(cursor)) {
        throw new TreatyError('CURSOR_INVALID', 'the cursor is not one that this list gave')
      }
      const page = await registryOf(state).audit({ after: Number(cursor), limit: limit + 1 })
      const items = page.slice(0, limit).map(({ position, at, change }) => {
        return { position, at: new Date(at).toISOString(), change }
      })
      const last = items.at(-1)
      return page.length > limit && last ? { items, next: String(last.position) } : { items }
    },
  )
}
