import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Contract } from '../contracts/index.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { errorMessage, TreatyError } from '../core/errors.ts'
import { createIdSource } from '../core/ids.ts'
import type { JsonObject } from '../core/json.ts'
import { limits } from '../core/limits.ts'
import type { Bus, DeadLetter } from '../messaging/index.ts'
import { openRegistry, openSubjects, type Registry } from '../registry/index.ts'
import type { Store } from '../store/index.ts'
import { registerApi } from './api-routes.ts'
import { registerFacade } from './confluent/facade.ts'
import { createGuard, type Guard, isLoopback, type Presented, type RouteAccess } from './guard.ts'
import { jsonParser } from './json-body.ts'
import { type ApiKey, createKeyRing } from './keys.ts'
import { createProcessMetrics } from './metrics.ts'
import { openApiDocument, type RouteRecord } from './openapi.ts'
import { registerOperation } from './operation-routes.ts'
import { asTreatyError, problemContentType, toProblem } from './problem.ts'
import { createHistogram, type Metric } from './prometheus.ts'
import {
  type CallerLimit,
  type CallerRate,
  callerRateDefault,
  createCallerLimit,
} from './rate-limit.ts'
import { registerRegistryRoutes } from './registry-routes.ts'
import { type ServerState, subjectsOf } from './state.ts'

export interface ServerOptions {
  /** Absent: the server says that it is not ready until {@link Server.attach} gives it one. */
  readonly bus?: Bus
  /** Default: those of the bus. */
  readonly contracts?: readonly Contract[]
  /** Address to listen on. Default `127.0.0.1`; one that others can reach needs `keys`. */
  readonly host?: string
  /** 0 to 65 535; 0 takes a free one. Default 4400. */
  readonly port?: number
  readonly keys?: readonly ApiKey[]
  /** Further names under which the server is called, without ports: that of a proxy, for example. */
  readonly allowedHosts?: readonly string[]
  readonly clock?: Clock
  /** Largest request body in bytes. Default 1 MiB. */
  readonly bodyBytesMax?: number
  /** Largest head of a request in bytes. Default 16 KiB. */
  readonly headerBytesMax?: number
  /** Milliseconds within which a request must have arrived whole. Default 30 000. */
  readonly requestTimeoutMs?: number
  /** How often one caller, known by its key or its address, may ask; health and metrics are free. Default 1000 a second. */
  readonly rateLimit?: CallerRate
  /** Where the Confluent-compatible facade is; `/` for clients that cannot take a path. Default `/confluent`. */
  readonly confluentAt?: string
  /** Version of the package, for people. */
  readonly version?: string
  /** Told of what nobody foresaw; the client learns the request id only. */
  readonly onUnforeseen?: (error: TreatyError, requestId: string) => void
}

/** The HTTP server over one bus. */
export interface Server {
  /** The framework's instance: for tests (`inject`) and for further routes before {@link listen}. */
  readonly app: FastifyInstance
  /** Where it listens, once it does: `http://127.0.0.1:4400`. */
  readonly url: string | undefined
  /** Takes the port. @throws PORT_IN_USE · LISTEN_FAILED */
  listen(): Promise<string>
  /** From now on answers come from this bus. */
  attach(bus: Bus, contracts?: readonly Contract[]): void
  /** From now on the registry and the facade answer from this store. It is not closed with the server. */
  attachStore(store: Store): Registry
  /** From now on `/metrics` shows these too. */
  addMetrics(read: () => Promise<readonly Metric[]>): void
  /** From now on whoever made the message of a dead letter is asked first to replay it; undefined leaves that to the bus. */
  addReplay(replay: (letter: DeadLetter) => Promise<true | undefined>): void
  /** From now on it is not ready. */
  detach(): void
  /** Answers what has begun, then frees the port. Safe to call twice. */
  close(): Promise<void>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request needs; absent: `read`. */
    access?: RouteAccess
    /** True where programs may change state without a key, as long as no page can. */
    programs?: boolean
    /** Whose media type and errors the route speaks; absent: our own. */
    protocol?: 'confluent'
  }
  interface FastifySchema {
    /** One sentence for the OpenAPI document. */
    summary?: string
  }
}

/** Seconds; the API answers within milliseconds, and a page of dead letters within a second. */
const durationBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * An HTTP server on loopback: the API of doors.md, health, metrics, and descriptions of itself. It does not own
 * the bus: closing it leaves the bus open.
 *
 * @throws KEYS_REQUIRED for a host that others can reach, without keys · KEYS_INVALID
 */
export function createServer(options: ServerOptions): Server {
  const host = options.host ?? '127.0.0.1'
  const port = options.port ?? 4400
  const keys = createKeyRing(options.keys ?? [])
  if (!isLoopback(host) && keys.size === 0) {
    throw new TreatyError(
      'KEYS_REQUIRED',
      `listening on ${host} would let others in, and no API keys are configured`,
      {
        hint: 'Configure keys under server.keys, or keep to --host 127.0.0.1.',
        details: { host },
      },
    )
  }
  const clock = options.clock ?? systemClock
  const state = createState(options, clock)
  const app = createApp(options)
  const guard = createGuard({ host, allowedHosts: options.allowedHosts ?? [], keys })
  const limit = createCallerLimit(options.rateLimit ?? callerRateDefault, clock)
  addHooks(app, state, { guard, limit })
  const routes = collectRoutes(app)
  registerApi(app, state)
  registerRegistryRoutes(app, state)
  registerFacade(app, { subjects: () => subjectsOf(state) }, facadePath(options))
  registerOperation(app, state, () => openApiDocument(routes, state.version, keys.size > 0))
  answerErrors(app, routes, options)

  let url: string | undefined
  let closing: Promise<void> | undefined
  return {
    app,
    get url() {
      return url
    },
    async listen() {
      url = await listen(app, host, port)
      return url
    },
    attach(bus, contracts) {
      state.bus = bus
      state.contracts = contracts ?? bus.contracts
    },
    attachStore(store) {
      state.store = store
      state.subjects = openSubjects(store)
      state.registry = openRegistry(store, { clock })
      return state.registry
    },
    addMetrics(read) {
      state.metricSources.push(read)
    },
    addReplay(replay) {
      state.replays.push(replay)
    },
    detach() {
      state.bus = undefined
    },
    close() {
      state.process.close()
      closing ??= app.close()
      return closing
    },
  }
}

function createState(options: ServerOptions, clock: Clock): ServerState {
  return {
    bus: options.bus,
    contracts: options.contracts ?? options.bus?.contracts ?? [],
    store: undefined,
    registry: undefined,
    subjects: undefined,
    clock,
    version: options.version ?? '0.0.0',
    process: createProcessMetrics(clock, options.version ?? '0.0.0'),
    requests: createHistogram(durationBounds),
    replays: [],
    metricSources: [],
  }
}

/** What every request goes through: safe headers, the guard, the limit, the clock. */
function addHooks(
  app: FastifyInstance,
  state: ServerState,
  { guard, limit }: { readonly guard: Guard; readonly limit: CallerLimit },
): void {
  app.addHook('onRequest', async (request, reply) => {
    setSafetyHeaders(request, reply)
    const { access = 'read', programs = false } = request.routeOptions.config
    request.keyName = guard.admit(presented(request), access, { programs }) ?? ''
    // Whoever watches the process must be able to, and webhooks have limits of their own.
    if (/^\/(?:health|metrics|hooks)\b/.test(request.url)) return
    const { headers, refusal } = limit.take(request.keyName || request.ip)
    reply.headers(headers)
    if (refusal) throw refusal
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    state.requests.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    )
  })
}

/** Begins with a slash and does not end with one, but for the root. */
function facadePath({ confluentAt = '/confluent' }: ServerOptions): string {
  const path = `/${confluentAt.replaceAll(/^\/+|\/+$/g, '')}`
  if (/^(?:\/[\w.~-]+)*$|^\/$/.test(path)) return path
  throw new TreatyError('OPTION_INVALID', `\`${confluentAt}\` is no path for the facade`, {
    hint: 'Use a path such as /confluent, or / alone.',
  })
}

function createApp(options: ServerOptions): FastifyInstance {
  const nextId = createIdSource(options.clock ?? systemClock)
  const app = fastify({
    bodyLimit: options.bodyBytesMax ?? limits.messageBytesMax,
    requestTimeout: options.requestTimeoutMs ?? 30_000,
    connectionTimeout: 0,
    keepAliveTimeout: 5000,
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: options.headerBytesMax ?? 16_384, headersTimeout: 10_000 },
    routerOptions: { maxParamLength: 512 },
    genReqId: (request) => requestId(request.headers['x-request-id']) ?? nextId(),
    ajv: { customOptions: { allErrors: true, removeAdditional: false, coerceTypes: true } },
    clientErrorHandler(error, socket) {
      answerBrokenRequest(error, socket, nextId())
    },
    frameworkErrors(error, request, reply) {
      void sendProblem(reply, asTreatyError(error), request.id)
    },
  })
  app.decorateRequest('keyName', '')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, jsonParser(app))
  // The schemas of answers describe; cutting an answer down to its schema would hide what the schema forgot.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  return app
}

/** A client's own request id is taken when it can do no harm in a log. */
function requestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{1,64}$/.test(header) ? header : undefined
}

function presented(request: FastifyRequest): Presented {
  const header = (name: string) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(',') : value
  }
  return {
    method: request.method,
    host: request.headers.host ?? header(':authority'),
    origin: request.headers.origin,
    fetchSite: header('sec-fetch-site'),
    authorization: request.headers.authorization,
    apiKey: header('x-api-key'),
  }
}

function setSafetyHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply
    .header('x-request-id', request.id)
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-resource-policy', 'same-origin')
    .header('cache-control', 'no-store')
}

function sendProblem(reply: FastifyReply, error: TreatyError, id: string): unknown {
  const problem = toProblem(error, id)
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="treaty"')
  if (error.code === 'NOT_READY') reply.header('retry-after', '1')
  if (error.code === 'RATE_LIMIT_REACHED') {
    reply.header('retry-after', String(Math.ceil((error.retryAfterMs ?? 1000) / 1000)))
  }
  return reply.code(problem.status).type(problemContentType).send(JSON.stringify(problem))
}

function answerErrors(
  app: FastifyInstance,
  routes: readonly RouteRecord[],
  options: ServerOptions,
): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = asTreatyError(thrown)
    if (error.code === 'UNFORESEEN') options.onUnforeseen?.(error, request.id)
    return sendProblem(reply, error, request.id)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '/'
    const methods = routes.filter((route) => matches(route.url, path)).map((route) => route.method)
    if (methods.length === 0) {
      return sendProblem(
        reply,
        new TreatyError('ROUTE_NOT_FOUND', `there is nothing at ${path.slice(0, 200)}`),
        request.id,
      )
    }
    const allow = [
      ...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))),
    ]
    reply.header('allow', allow.join(', '))
    const error = new TreatyError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not possible at ${path.slice(0, 200)}`,
      {
        hint: `Use ${allow.join(' or ')}.`,
      },
    )
    return sendProblem(reply, error, request.id)
  })
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const parts = path.split('/')
  return (
    wanted.length === parts.length &&
    wanted.every((part, at) => part.startsWith(':') || part === parts[at])
  )
}

/** Every route that is registered from now on, as data. */
function collectRoutes(app: FastifyInstance): RouteRecord[] {
  const routes: RouteRecord[] = []
  app.addHook('onRoute', ({ method, url, schema, config }) => {
    const parts = (schema ?? {}) as Partial<RouteRecord>
    for (const name of [method].flat()) {
      if (name === 'HEAD') continue
      routes.push({
        method: name,
        url,
        access: config?.access ?? 'read',
        protocol: config?.protocol,
        summary: parts.summary ?? '',
        querystring: parts.querystring,
        params: parts.params,
        body: parts.body as JsonObject | undefined,
        response: parts.response,
      })
    }
  })
  return routes
}

/** What cannot be read as HTTP gets an answer too, as far as the socket still takes one. */
function answerBrokenRequest(
  error: { code?: string },
  socket: { writable: boolean; end(text: string): unknown; destroy(): unknown },
  id: string,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = toProblem(brokenRequest(error.code), id)
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  )
}

function brokenRequest(code: string | undefined): TreatyError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new TreatyError('REQUEST_TOO_LARGE', 'the headers of the request are too large')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new TreatyError('REQUEST_INCOMPLETE', 'the request did not arrive in time')
  return new TreatyError('REQUEST_INVALID', 'the request is not HTTP')
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const code = (cause as { code?: string }).code
    if (code === 'EADDRINUSE') {
      throw new TreatyError('PORT_IN_USE', `port ${port} on ${host} is in use by another process`, {
        hint: 'Stop the other process, or choose another port with --port.',
        details: { host, port },
        cause,
      })
    }
    throw new TreatyError(
      'LISTEN_FAILED',
      `the server cannot listen on ${host}:${port}: ${errorMessage(cause)}`,
      {
        details: { host, port },
        cause,
      },
    )
  }
  const address = app.server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return `http://${host.includes(':') ? `[${host}]` : host}:${actual}`
}
