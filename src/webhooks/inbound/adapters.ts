import type { IncomingMessage, ServerOptions, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { type BodyRead, readBody, readStream } from './body.ts'
import type { InboundAnswer } from './delivery.ts'
import type { Receiver } from './receiver.ts'

/** Options for `http.createServer` that cut off who drips headers, or sends more of them than anybody needs. */
export const webhookServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 2000,
  keepAliveTimeout: 5000,
  maxHeaderSize: 16_384,
} as const satisfies ServerOptions

/** What a receiver needs to know of the server around it. */
export interface HandlerOptions {
  /** What stands before the name of the source in the path. Default `/hooks/`. */
  readonly prefix?: string
  /** Every request is of this source, whatever its path. */
  readonly source?: string
}

/**
 * A request listener for `node:http` and whatever is built on it: reads the body itself, so that no
 * parser may come before it.
 */
export function nodeHandler(
  receiver: Receiver,
  options: HandlerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const prefix = options.prefix ?? '/hooks/'
  return (request, response) => {
    const source = options.source ?? sourceIn(request.url ?? '/', prefix)
    answerNode(receiver, source, { request, response }).catch(() => response.destroy())
  }
}

/** A handler for runtimes that speak `Request` and `Response`. The source is the last part of the path, unless named. */
export function fetchHandler(
  receiver: Receiver,
  options: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  const prefix = options.prefix ?? '/hooks/'
  return async (request) => {
    const { pathname, search } = new URL(request.url)
    const source = options.source ?? sourceIn(pathname, prefix)
    const limits = source === undefined ? undefined : receiver.limitsOf(source)
    if (source === undefined || limits === undefined) return new Response(null, { status: 404 })
    const { clock } = receiver
    const isTooLong = Number(request.headers.get('content-length') ?? 0) > limits.bytesMax
    const body: BodyRead = isTooLong
      ? { refusal: 413 }
      : await readStream(request.body, { ...limits, clock })
    if ('refusal' in body) return new Response(null, { status: body.refusal })
    const url = request.url.startsWith('http') ? request.url : pathname + search
    const given = await receiver.receive(source, {
      method: request.method,
      url,
      headers: request.headers,
      rawBody: body.bytes,
    })
    const text = given.body === '' ? null : given.body
    return new Response(text, { status: given.status, headers: { ...given.headers } })
  }
}

/** Routes of a receiver on fastify. */
export interface FastifyHooksOptions extends HandlerOptions {
  /** Path → source, for sources that have a path of their own. */
  readonly paths?: Readonly<Record<string, string>>
  /** The framework's own configuration of the routes. */
  readonly config?: Readonly<Record<string, unknown>>
  /** One line about the routes, for a description of the API. */
  readonly summary?: string
}

/** A plugin for fastify: `app.register(fastifyHooks(receiver))`. Its scope parses no bodies, so that the bytes stay as they came. */
export function fastifyHooks(
  receiver: Receiver,
  options: FastifyHooksOptions = {},
): (app: FastifyInstance) => Promise<void> {
  const { prefix = '/hooks/', paths = {}, config, summary } = options
  const placed = new Set(Object.values(paths))
  return async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined))
    const route = (url: string, sourceOf: (params: { source?: string }) => string | undefined) =>
      app.route<{ Params: { source?: string } }>({
        method: ['GET', 'POST', 'OPTIONS'],
        url,
        // Ours is cut off by the receiver; the framework would refuse before by its own, smaller limit.
        bodyLimit: Number.MAX_SAFE_INTEGER,
        ...(config === undefined ? {} : { config }),
        ...(summary === undefined ? {} : { schema: { summary } }),
        handler(request, reply) {
          reply.hijack()
          const { raw } = request
          const source = sourceOf(request.params)
          answerNode(receiver, source, { request: raw, response: reply.raw }).catch(() =>
            reply.raw.destroy(),
          )
        },
      })
    for (const [path, source] of Object.entries(paths)) route(path, () => source)
    route(`${prefix}:source`, ({ source = '' }) => (placed.has(source) ? undefined : source))
  }
}

/** The name behind the prefix; undefined for another path. */
function sourceIn(url: string, prefix: string): string | undefined {
  const path = url.split('?')[0] ?? ''
  if (!path.startsWith(prefix)) return undefined
  const name = path.slice(prefix.length)
  return /^[\w.-]+$/.test(name) ? name : undefined
}

async function answerNode(
  receiver: Receiver,
  source: string | undefined,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const limits = source === undefined ? undefined : receiver.limitsOf(source)
  if (source === undefined || limits === undefined) {
    send(response, { status: 404, headers: {}, body: '' }, request.complete)
    return
  }
  const body = await readBody(request, { ...limits, clock: receiver.clock })
  if ('refusal' in body) {
    send(response, { status: body.refusal, headers: {}, body: '' }, false)
    return
  }
  const { remoteAddress } = request.socket ?? {}
  const answer = await receiver.receive(source, {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: fieldsOf(request),
    rawBody: body.bytes,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
  })
  send(response, answer, true)
}

/** Node joins or drops what comes twice; only the raw list shows it. */
function fieldsOf(request: IncomingMessage): Record<string, string | string[] | undefined> {
  const { rawHeaders, headers } = request
  const seen = new Set<string>()
  let doubled: Record<string, string[]> | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (seen.has(name)) doubled = { ...doubled, [name]: valuesOf(rawHeaders, name) }
    seen.add(name)
  }
  return doubled === undefined ? headers : { ...headers, ...doubled }
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
}

/** A connection whose request was not read to its end is of no more use. */
function send(response: ServerResponse, answer: InboundAnswer, isRead: boolean): void {
  if (response.destroyed) return
  const length = Buffer.byteLength(answer.body)
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': String(length) }),
    ...(isRead ? {} : { connection: 'close' }),
  })
  response.end(answer.body, () => {
    if (!isRead) response.req?.socket?.destroySoon?.()
  })
}
