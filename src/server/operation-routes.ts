import type { FastifyInstance, FastifyRequest } from 'fastify'
import { catalogEntry, type ErrorCode, errorCatalog, TreatyError } from '../core/errors.ts'
import { runningDependencies } from '../http/index.ts'
import { busMetrics } from './bus-metrics.ts'
import { contractHash, contractPath } from './contract-view.ts'
import { errorPage, homePage, pagePolicy } from './home.ts'
import { dependencyMetrics } from './http-metrics.ts'
import { requestMetrics } from './metrics.ts'
import type { OpenApiDocument } from './openapi.ts'
import { codeTitle } from './problem.ts'
import { exposition, expositionContentType } from './prometheus.ts'
import { schemaPath } from './registry-schema-routes.ts'
import { answers, pathParams } from './route-schemas.ts'
import type { ServerState } from './state.ts'
import { sendTagged } from './tagged.ts'

/** What runs the server rather than uses it: health, metrics, descriptions of itself. */
export function registerOperation(
  app: FastifyInstance,
  state: ServerState,
  openApi: () => OpenApiDocument,
): void {
  registerHealth(app, state)
  registerMetrics(app, state)
  registerDescriptions(app, state, openApi)
  registerPages(app, state)
}

/** The state of the whole: live as long as it answers, ready when the bus says so. */
async function health(state: ServerState) {
  const { bus } = state
  if (!bus) {
    return {
      live: true,
      ready: false,
      version: state.version,
      problems: ['the bus is not open'],
      dependencies: [],
    }
  }
  const { live, ready, problems, reachable, consumers, broker, drift } = await bus.health()
  return {
    live,
    ready,
    version: state.version,
    problems,
    dependencies: [
      {
        name: bus.transport.name,
        kind: 'transport',
        ready: reachable,
        drift: drift.length,
        ...broker,
      },
      ...consumers.map(({ consumer, ready }) => ({ name: consumer, kind: 'consumer', ready })),
    ],
  }
}

function registerHealth(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/health',
    {
      config: { access: 'open' },
      schema: {
        summary: 'Live, ready, dependencies; 503 while not ready',
        response: { 200: answers.health, 503: answers.health },
      },
    },
    async (_request, reply) => {
      const body = await health(state)
      return reply.code(body.ready ? 200 : 503).send(body)
    },
  )
}

function registerMetrics(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/metrics',
    { config: { access: 'metrics' }, schema: { summary: 'Prometheus text' } },
    async (_request, reply) => {
      const metrics = [...state.process.read(), requestMetrics(state.requests)]
      if (state.bus) metrics.push(...(await busMetrics(state.bus, state.clock)))
      metrics.push(...dependencyMetrics(runningDependencies()))
      for (const read of state.metricSources) metrics.push(...(await read()))
      return reply.type(expositionContentType).send(exposition(metrics))
    },
  )
}

function registerDescriptions(
  app: FastifyInstance,
  state: ServerState,
  openApi: () => OpenApiDocument,
): void {
  app.get(
    '/openapi.json',
    { config: { access: 'read' }, schema: { summary: 'This description, as OpenAPI 3.1' } },
    async (request, reply) => sendTagged(request, reply, { body: JSON.stringify(openApi()) }),
  )
  app.get(
    '/.well-known/treaty',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Contracts, with versions and hashes',
        response: { 200: answers.wellKnown },
      },
    },
    async (request, reply) => {
      const body = JSON.stringify({ treaty: 1, contracts: await discovered(state) })
      return sendTagged(request, reply, { body })
    },
  )
}

/** What runs here, and what is registered beside it: enough to fetch any schema without knowing more. */
async function discovered(state: ServerState) {
  const loaded = state.contracts.map((contract) => ({
    id: contract.id,
    version: contract.version,
    status: contract.status,
    hash: contractHash(contract),
    href: contractPath(contract),
    schemas: schemaPaths(
      [...Object.values(contract.events), ...Object.values(contract.commands)],
      contract.version,
    ),
  }))
  const ids = new Set(loaded.map(({ id }) => id))
  const registered = (await state.registry?.latest()) ?? []
  const others = registered
    .filter(({ id }) => !ids.has(id))
    .map(({ id, version, status, hash, messages }) => ({
      id,
      version,
      status,
      hash,
      href: contractPath({ id, version }),
      schemas: schemaPaths(messages, version),
    }))
  return [...loaded, ...others]
}

/** Message type → path of its schema. */
function schemaPaths(messages: readonly { name: string }[], version: string) {
  return Object.fromEntries(messages.map(({ name }) => [name, schemaPath(name, version)]))
}

function registerPages(app: FastifyInstance, state: ServerState): void {
  app.get(
    '/',
    { config: { access: 'open' }, schema: { summary: 'What is here, for people' } },
    async (request, reply) => {
      const page = await homePage(state)
      if (!wantsHtml(request)) return reply.type('text/plain; charset=utf-8').send(page.text)
      return reply
        .header('content-security-policy', pagePolicy)
        .type('text/html; charset=utf-8')
        .send(page.html)
    },
  )
  app.get<{ Params: { code: string } }>(
    '/errors/:code',
    {
      config: { access: 'open' },
      schema: { summary: 'What an error code means, and what to do', params: pathParams('code') },
    },
    async (request, reply) => {
      const { code } = request.params
      if (!Object.hasOwn(errorCatalog, code)) {
        throw new TreatyError('ROUTE_NOT_FOUND', `no error has the code \`${code}\``)
      }
      const entry = catalogEntry(code as ErrorCode)
      if (wantsHtml(request)) {
        reply.header('content-security-policy', pagePolicy).type('text/html; charset=utf-8')
        return reply.send(errorPage(code, codeTitle(code as ErrorCode), entry))
      }
      return reply.send({ code, ...entry })
    },
  )
}

function wantsHtml(request: FastifyRequest): boolean {
  return (request.headers.accept ?? '').includes('text/html')
}
