import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { type Clock, systemClock } from '../core/clock.ts'

/** One request, as a behaviour sees it. */
export interface HostileExchange {
  readonly request: IncomingMessage
  /** For proper answers. */
  readonly response: ServerResponse
  /** For bytes that no well-behaved server would send. */
  readonly socket: Socket
  readonly clock: Clock
}

/** What is done to one request. */
export type HostileBehaviour = (exchange: HostileExchange) => void

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** A server on loopback that misbehaves by script. */
export interface HostileServer {
  readonly url: string
  readonly port: number
  /** Every request so far, in order of arrival. */
  readonly requests: readonly SeenRequest[]
  /** What requests for `path` (without query) meet, one after the other; the last stays. Unscripted paths get a 404. */
  script(path: string, ...behaviours: readonly HostileBehaviour[]): void
  /** Sockets that are open. */
  connections(): number
  close(): Promise<void>
}

export interface HostileServerOptions {
  /** PEM; with them it speaks TLS. */
  readonly tls?: {
    readonly key: string
    readonly cert: string
    readonly ca?: string
    readonly requestCert?: boolean
  }
  readonly clock?: Clock
}

/** Listens on a free port of 127.0.0.1. */
export async function hostileServer(options: HostileServerOptions = {}): Promise<HostileServer> {
  const { clock = systemClock, tls } = options
  const scripts = new Map<string, HostileBehaviour[]>()
  const requests: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => undefined)
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      requests.push({ method, url, headers, body: Buffer.concat(chunks) })
      const script = scripts.get(url.split('?', 1)[0] ?? '') ?? []
      const behaviour =
        (script.length > 1 ? script.shift() : script[0]) ?? hostile.answer({ status: 404 })
      behaviour({ request, response, socket: request.socket, clock })
    })
  }
  const server = tls ? createTlsServer(tls, onRequest) : createServer(onRequest)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('clientError', (_, socket) => socket.end(head(400, { connection: 'close' })))
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests,
    script: (path, ...behaviours) => void scripts.set(path, [...behaviours]),
    connections: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

function head(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Scripted\r\n${lines.join('')}\r\n`
}

function answer({ status = 200, headers = {}, body = '' }: Answer): HostileBehaviour {
  return ({ response }) => {
    const bytes = Buffer.from(body)
    const isBodiless = status === 204 || status === 304
    const length = isBodiless ? {} : { 'content-length': String(bytes.length) }
    response.sendDate = false
    response.writeHead(status, { ...length, ...headers })
    response.end(isBodiless ? undefined : bytes)
  }
}

const json = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}) =>
  answer({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

/** Behaviours, well and badly behaved. */
export const hostile = {
  /** A proper answer. */
  answer,
  json,
  /** Echoes the request's headers and body, as careless servers do in their errors. */
  echo:
    (status = 400): HostileBehaviour =>
    (exchange) => {
      const { method, url, headers } = exchange.request
      json(
        { method, url, headers, message: `bad call with ${JSON.stringify(headers)}` },
        status,
      )(exchange)
    },
  redirect: (location: string, status = 302) => answer({ status, headers: { location } }),
  html: (status = 200) =>
    answer({ status, headers: { 'content-type': 'text/html' }, body: '<html>Sorry</html>' }),
  invalidJson: () =>
    answer({ headers: { 'content-type': 'application/json' }, body: '{"secret": "half' }),
  /** Takes the request and never says a word. */
  hang: (): HostileBehaviour => () => undefined,
  /** Headers, then nothing. */
  hangInBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.write(head(200, { 'content-type': 'application/json', 'content-length': '100' }))
      socket.write('{"half":')
    },
  /** Resets the connection instead of an answer. */
  reset:
    (): HostileBehaviour =>
    ({ socket }) =>
      void socket.resetAndDestroy(),
  /** Resets it after some of the body. */
  resetInBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.write(head(200, { 'content-type': 'application/json', 'content-length': '100' }))
      socket.write('{"half":', () => socket.resetAndDestroy())
    },
  /** Says more bytes than it sends. */
  shortBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.end(
        `${head(200, { 'content-type': 'application/json', 'content-length': '50' })}{"a":1}`,
      )
    },
  /** Sends more bytes than it says. */
  longBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.end(
        `${head(200, { 'content-type': 'application/json', 'content-length': '7' })}{"a":1}HTTP/1.1 200 OK\r\n\r\n`,
      )
    },
  /** One byte at a time. */
  drip:
    (everyMs: number): HostileBehaviour =>
    ({ socket, clock }) => {
      socket.write(head(200, { 'content-type': 'application/json', 'content-length': '1000000' }))
      const next = () => {
        if (socket.destroyed) return
        socket.write(' ')
        clock.setTimeout(next, everyMs)
      }
      next()
    },
  /** So many bytes of zeros that fit into few. */
  gzipBomb: (bytes: number) =>
    answer({
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(Buffer.alloc(bytes), { level: 9 }),
    }),
  /** More than anybody wants to read. */
  endlessBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.write(head(200, { 'content-type': 'application/octet-stream' }))
      const chunk = Buffer.alloc(65_536)
      const more = () => {
        while (!socket.destroyed && socket.write(chunk));
      }
      socket.on('drain', more)
      more()
    },
  manyHeaders:
    (count: number): HostileBehaviour =>
    ({ socket }) => {
      const lines = Array.from({ length: count }, (_, n) => `x-${n}: ${n}\r\n`)
      socket.end(`HTTP/1.1 200 OK\r\n${lines.join('')}content-length: 0\r\n\r\n`)
    },
  /** 204, and a body all the same. */
  noContentWithBody:
    (): HostileBehaviour =>
    ({ socket }) => {
      socket.write(`${head(204, { 'content-length': '7' })}{"a":1}`)
    },
  /** No HTTP at all. */
  garbage:
    (): HostileBehaviour =>
    ({ socket }) =>
      void socket.end('\u0000\u0001 SSH-2.0 hello\r\n\r\n'),
} as const

/** A resolver whose answers change from call to call, the last one staying: DNS rebinding. */
export function rebindingResolver(...answers: readonly (readonly string[])[]): {
  resolve(host: string): Promise<readonly string[]>
  readonly asked: readonly string[]
} {
  const asked: string[] = []
  return {
    asked,
    resolve(host) {
      asked.push(host)
      return Promise.resolve(answers[Math.min(asked.length, answers.length) - 1] ?? [])
    },
  }
}
