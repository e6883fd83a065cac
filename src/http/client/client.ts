import { type CompiledSchema, compileSchema, type JsonSchema } from '../../contracts/index.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { limits } from '../../core/limits.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { createAuthenticator } from '../auth/create-auth.ts'
import type { TokenFetch } from '../auth/oauth2.ts'
import { checkAddress } from '../egress/check-address.ts'
import { createDependency, type Dependency } from '../resilience/dependencies.ts'
import type { FallbackOptions } from '../resilience/fallback.ts'
import { invalidOption, numberOption } from '../resilience/policy.ts'
import { CallScope, enterScope, noteAttempts } from '../resilience/scope.ts'
import type { SharedBucket } from '../resilience/shared-bucket.ts'
import { createTimeout } from '../resilience/time-limit.ts'
import { type AttemptContext, attempt, type CallPlan, checkHome, mayRetry } from './attempt.ts'
import type { CallRequest, CallResponse } from './call.ts'
import { checkAlternate, policyFallback } from './client-fallback.ts'
import type { Client, ClientOptions } from './client-options.ts'
import { idempotencyHeader } from './idempotency.ts'
import { addHeaders, type HeaderRecord } from './message-headers.ts'
import { egressDenied } from './network-error.ts'
import { type PaginateOptions, pagesOf } from './paginate.ts'
import { checkTarget, type EgressRules } from './redirect.ts'
import { createBody } from './request-body.ts'
import { decodeBody } from './response.ts'
import { createTelemetry } from './telemetry.ts'
import { createTransport, type HttpTransport } from './transport.ts'
import { type Base, fillPath, joinPath, parseBase } from './url.ts'

const methodPattern = /^[A-Z]{1,20}$/
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
const cacheable = new Set(['GET', 'HEAD'])
const connectMsMax = 10_000
const tokenMsMax = 30_000
const keepAliveMs = 4000
const headerBytesMax = 16_384

function attemptMsOf(options: ClientOptions): number {
  const ms = options.timeout === false ? undefined : options.timeout?.attemptMs
  return ms ?? tokenMsMax
}

function makeTransport(options: ClientOptions, base: Base): HttpTransport {
  if (typeof options.transport === 'object') return options.transport
  const network = networkTransport(options, base)
  return options.transport?.(network) ?? network
}

function networkTransport(options: ClientOptions, base: Base): HttpTransport {
  const { egress = {}, limits: own = {} } = options
  const whole = { min: 1, isInteger: true }
  return createTransport({
    origin: base.origin,
    check: egress.privateNetworks === 'allow' ? undefined : checkAddress,
    resolve: egress.resolve,
    tls: options.tls,
    timeoutMs: Math.min(attemptMsOf(options), connectMsMax),
    connections: numberOption('limits.connections', own.connections ?? 100, whole),
    responseBytesMax: responseBytesMax(options),
    headerBytesMax: numberOption(
      'limits.headerBytesMax',
      own.headerBytesMax ?? headerBytesMax,
      whole,
    ),
    keepAliveMs,
  })
}

function responseBytesMax(options: ClientOptions): number {
  const bytes = options.limits?.responseBytesMax ?? limits.fileBytesMax
  return numberOption('limits.responseBytesMax', bytes, { min: 1, isInteger: true })
}

function egressRules(options: ClientOptions): EgressRules {
  const { https = 'required', privateNetworks = 'deny', ports } = options.egress ?? {}
  if (!['required', 'optional'].includes(https) || !['deny', 'allow'].includes(privateNetworks)) {
    throw invalidOption(
      'egress has a value that is unknown',
      "Use https 'required' or 'optional', privateNetworks 'deny' or 'allow'.",
    )
  }
  return { https, privateNetworks, ports }
}

/**
 * A client of one neighbour: one base URL that no call can leave, one credential, one set of policies.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createClient(options: ClientOptions): Client {
  return new HttpClient(options)
}

class HttpClient implements Client {
  readonly name: string
  readonly #base: Base
  readonly #clock: Clock
  readonly #dependency: Dependency
  readonly #context: AttemptContext
  readonly #transport: HttpTransport
  readonly #reserved: ReadonlySet<string>
  readonly #headers: HeaderRecord
  readonly #keyHeader: string
  readonly #isKeyQuoted: boolean
  readonly #schemas = new WeakMap<object, CompiledSchema>()
  /** For fallbacks, which see scopes only. */
  readonly #requests = new WeakMap<CallScope, CallRequest>()
  readonly #sharedBucket: SharedBucket | undefined
  #alternate: Client | undefined
  readonly #watch: ReturnType<typeof createTelemetry>

  constructor(options: ClientOptions) {
    const egress = egressRules(options)
    this.#base = parseBase(options.baseUrl, egress.https)
    this.#clock = options.clock ?? systemClock
    this.name = options.name ?? this.#base.url.host
    this.#transport = makeTransport(options, this.#base)
    const { clock, random, onEvent } = options
    this.#dependency = createDependency(
      { ...options, fallback: this.#fallbackOf(options) },
      { name: this.name, clock, random, onEvent },
    )
    this.#sharedBucket = (options.rateLimit || undefined)?.shared?.bucket
    const auth = this.#makeAuth(options, egress)
    this.#reserved = new Set(auth?.headerNames)
    this.#context = {
      transport: this.#transport,
      auth,
      home: this.#base.origin,
      egress,
      redirect: { mode: options.redirect?.mode ?? 'follow', max: options.redirect?.max ?? 5 },
      bytesMax: responseBytesMax(options),
      hints: options.rateLimitHeaders,
      clock: this.#clock,
      rateLimiter: this.#dependency.rateLimiter,
    }
    this.#headers = {
      accept: 'application/json, */*;q=0.5',
      'accept-encoding': 'gzip, deflate, br',
      'user-agent': 'treatyjs',
    }
    addHeaders(this.#headers, options.headers, this.#reserved)
    this.#keyHeader = (options.idempotency?.header ?? 'Idempotency-Key').toLowerCase()
    this.#isKeyQuoted = options.idempotency?.quoted ?? true
    this.#watch = createTelemetry(() => this.#clock.monotonic())
  }

  get breaker() {
    return this.#dependency.breaker
  }

  get rateLimiter() {
    return this.#dependency.rateLimiter
  }

  snapshot() {
    return this.#dependency.snapshot()
  }

  async request<Body = unknown>(request: CallRequest): Promise<CallResponse<Body>> {
    const plan = this.#plan(request)
    const watch = this.#watch({
      method: plan.method,
      host: this.#base.url.hostname,
      dependency: this.name,
    })
    const headers = plan.headers as HeaderRecord
    if (watch.traceparent !== undefined) headers.traceparent ??= watch.traceparent
    try {
      const response = await enterScope({ signal: request.signal }, (scope) =>
        this.#run(plan, request, scope),
      )
      watch.ended({ status: response.status, attempts: plan.attempts })
      return response as CallResponse<Body>
    } catch (thrown) {
      const error = isTreatyError(thrown) ? thrown : foreignError(thrown, plan.where)
      noteAttempts(error, plan.attempts)
      watch.ended({
        attempts: plan.attempts,
        error,
        ...(error.status === undefined ? {} : { status: error.status }),
      })
      throw error
    }
  }

  async *paginate<Item = unknown>(
    request: CallRequest,
    options: PaginateOptions,
  ): AsyncGenerator<Item> {
    for await (const { items } of this.#pages(request, options)) yield* items as readonly Item[]
  }

  async *pages(request: CallRequest, options: PaginateOptions): AsyncGenerator<CallResponse> {
    for await (const { response } of this.#pages(request, options)) yield response
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#transport.close(),
      this.#alternate?.close(),
      this.#sharedBucket?.close?.(),
    ])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #pages(request: CallRequest, options: PaginateOptions) {
    const base = {
      origin: this.#base.origin,
      path: this.#base.path,
      urlOf: (each: CallRequest) =>
        this.#base.origin + joinPath(this.#base, fillPath(each.path, each.params), each.query),
    }
    return pagesOf((each) => this.request(each), request, { options, base })
  }

  async #run(plan: CallPlan, request: CallRequest, scope: CallScope): Promise<CallResponse> {
    checkHome(this.#base.url, this.#context)
    scope.canRetry = (error) => mayRetry(error, plan)
    scope.canHedge = plan.isSafe && plan.body.isReplayable
    scope.totalMs = request.timeoutMs
    scope.cacheKey = this.#cacheKey(plan)
    scope.canFallBack = request.fallback !== false
    if (this.#dependency.fallback) this.#requests.set(scope, request)
    const response = await this.#dependency.policy.run((inner) => {
      plan.attempts = Math.max(inner.attempt, 1)
      return attempt(plan, this.#context, inner)
    }, scope)
    if (scope.degraded === undefined) return response
    return { ...response, attempts: plan.attempts, degraded: scope.degraded }
  }

  #fallbackOf(options: ClientOptions): FallbackOptions | false {
    const { fallback } = options
    if (!fallback) return false
    const { alternate } = fallback
    if (typeof alternate === 'string' || alternate instanceof URL) {
      const baseUrl = checkAlternate(alternate, this.#base.origin)
      const name = `${this.name}, its alternate`
      // A limit that is shared by the neighbour's name is not this one's.
      const { shared: _, ...rateLimit } = options.rateLimit || {}
      this.#alternate = createClient({
        ...options,
        baseUrl,
        name,
        fallback: false,
        ...(options.rateLimit ? { rateLimit: rateLimit as typeof options.rateLimit } : {}),
      })
    }
    return policyFallback(fallback, {
      requestOf: (scope) => this.#requests.get(scope) as CallRequest,
      callAlternate: (request, scope) =>
        (this.#alternate as Client).request({ ...request, signal: scope.signal }),
    })
  }

  /** Only answers to reading may be given again, and only to who asked with the same headers. */
  #cacheKey(plan: CallPlan): string | null | undefined {
    if (this.#dependency.fallback === undefined) return undefined
    if (!cacheable.has(plan.method)) return null
    const { traceparent: _, ...headers } = plan.headers
    return JSON.stringify([plan.method, plan.path, headers])
  }

  #plan(request: CallRequest): CallPlan {
    const { method, idempotencyKey, timeoutMs } = request
    if (typeof method !== 'string' || !methodPattern.test(method)) {
      throw invalidOption('the method is no name in capitals', 'Use GET, POST and their like.')
    }
    if (timeoutMs !== undefined) numberOption('timeoutMs', timeoutMs, { min: 1 })
    const path = joinPath(this.#base, fillPath(request.path, request.params), request.query)
    const headers = { ...this.#headers }
    addHeaders(headers, request.headers, this.#reserved)
    const hasKey = idempotencyKey !== undefined
    const fixed = this.#compiled(request.schema)
    if (hasKey) headers[this.#keyHeader] = idempotencyHeader(idempotencyKey, this.#isKeyQuoted)
    return {
      method,
      path,
      headers,
      body: createBody(request.body),
      isSafe: request.idempotent ?? (hasKey || idempotentMethods.has(method)),
      hasKey,
      schemaFor: (status) => fixed ?? this.#compiled(request.responseSchema?.(status)),
      responseType: request.responseType ?? 'auto',
      where: `${method} ${this.#base.origin}${pathOnly(path)}`,
      attempts: 0,
      progress: { wasSent: false },
    }
  }

  #compiled(schema: JsonSchema | undefined): CompiledSchema | undefined {
    if (schema === undefined) return undefined
    if (typeof schema !== 'object') return compileSchema(schema)
    const known = this.#schemas.get(schema) ?? compileSchema(schema)
    this.#schemas.set(schema, known)
    return known
  }

  #makeAuth(options: ClientOptions, egress: EgressRules): Authenticator | undefined {
    if (options.auth === undefined) return undefined
    const limit = createTimeout({
      ms: Math.min(attemptMsOf(options), tokenMsMax),
      clock: this.#clock,
    })
    const bytesMax = 1_048_576
    // A scope of its own: many calls wait for one token, and none of them may end it for the others.
    const fetch: TokenFetch = (target, { method, headers, body }) =>
      limit.run(async (scope) => {
        const url = new URL(target)
        const verdict = checkTarget(url, egress)
        if (!verdict.allowed) throw egressDenied(`the token endpoint ${url.origin}`, verdict.reason)
        const lower = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        )
        const response = await this.#transport.send(
          { method, origin: url.origin, path: url.pathname + url.search, headers: lower, body },
          scope,
          { wasSent: false },
        )
        const bytes = await decodeBody(response, { where: `${method} ${url.origin}`, bytesMax })
        const isBodiless = response.status === 204 || response.status === 304
        return new Response(isBodiless ? null : Buffer.from(bytes).toString('utf8'), {
          status: response.status,
          headers: { 'content-type': response.headers['content-type'] ?? 'application/json' },
        })
      }, new CallScope())
    return createAuthenticator(options.auth, { clock: this.#clock, fetch })
  }
}

/** What a body, a transport or a credential of the caller's own making threw. */
function foreignError(thrown: unknown, where: string): TreatyError {
  return new TreatyError('UNFORESEEN', `${where}: ${errorMessage(thrown)}`, { cause: thrown })
}

function pathOnly(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? path : path.slice(0, at)
}
