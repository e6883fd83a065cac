import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, Pool } from 'undici'
import { TreatyError } from '../../core/errors.ts'
import { checkNamedAddress } from '../egress/check-address.ts'
import type { CallScope } from '../resilience/scope.ts'
import { type ConnectorOptions, createConnector } from './connect.ts'
import { flattenHeaders, type HeaderRecord } from './message-headers.ts'
import { networkError } from './network-error.ts'

/** One request as it goes out. */
export interface WireRequest {
  method: string
  origin: string
  /** With query. */
  path: string
  headers: HeaderRecord
  body: string | Uint8Array | Readable | undefined
  /** True where the other side named the address, in a redirect. */
  isNamed?: boolean
}

/** One answer as it came in, its body whole and still encoded. */
export interface WireResponse {
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: Uint8Array
}

/** What is told about a request that did not end well. */
export interface SendProgress {
  /** True from the moment at which the request may have reached the other side. */
  wasSent: boolean
}

/** Puts requests on the wire. Replaceable, for recordings and tests. */
export interface HttpTransport {
  send(request: WireRequest, scope: CallScope, progress: SendProgress): Promise<WireResponse>
  close(): Promise<void>
}

/** How the connections of one client are made and bounded. */
export interface TransportOptions extends ConnectorOptions {
  readonly origin: string
  readonly connections: number
  /** Bytes of one answer, as they come in. */
  readonly responseBytesMax: number
  readonly headerBytesMax: number
  readonly keepAliveMs: number
}

const noBytes = new Uint8Array(0)

/** Collects one answer, and lets go of the socket as soon as nobody waits for it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #where: string
  readonly #progress: SendProgress
  readonly #bytesMax: number
  readonly #resolve: (response: WireResponse) => void
  readonly #reject: (error: unknown) => void
  readonly #forget: () => void
  #controller: Dispatcher.DispatchController | undefined
  #chunks: Uint8Array[] = []
  #size = 0
  #status = 0
  #headers: HeaderRecord = {}
  #isOver = false

  constructor(
    call: { readonly where: string; readonly scope: CallScope; readonly progress: SendProgress },
    bytesMax: number,
    settle: { resolve(response: WireResponse): void; reject(error: unknown): void },
  ) {
    this.#where = call.where
    this.#progress = call.progress
    this.#bytesMax = bytesMax
    this.#resolve = settle.resolve
    this.#reject = settle.reject
    this.#forget = call.scope.onCancel((reason) => this.#fail(reason))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) {
      controller.abort(new Error('the call is over'))
      return
    }
    this.#controller = controller
    this.#progress.wasSent = true
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    // Interim answers (1xx) are followed by the real one.
    if (status < 200) return
    this.#status = status
    this.#headers = flattenHeaders(headers)
    const length = Number(this.#headers['content-length'])
    if (length > this.#bytesMax) this.#fail(tooLarge(this.#where, this.#bytesMax))
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#isOver) return
    this.#size += chunk.length
    if (this.#size > this.#bytesMax) this.#fail(tooLarge(this.#where, this.#bytesMax))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#forget()
    const [first = noBytes] = this.#chunks
    const body = this.#chunks.length > 1 ? Buffer.concat(this.#chunks, this.#size) : first
    this.#resolve({ status: this.#status, headers: this.#headers, body })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(networkError(error, this.#where))
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#forget?.()
    this.#chunks = []
    this.#reject(error)
    this.#controller?.abort(error instanceof Error ? error : new Error('the call is over'))
  }
}

/** The error of an answer beyond its limit: HTTP_UNREADABLE. */
export function tooLarge(where: string, bytesMax: number): TreatyError {
  return new TreatyError(
    'HTTP_UNREADABLE',
    `${where}: the answer is larger than ${bytesMax} bytes`,
    {
      kind: 'parse',
      hint: 'Raise limits.responseBytesMax if such answers are meant.',
      details: { bytesMax },
    },
  )
}

/** The network: one pool of connections for the base, others on demand for redirects and token endpoints. */
export function createTransport(options: TransportOptions): HttpTransport {
  const shared = {
    connect: createConnector(options),
    connections: options.connections,
    allowH2: false,
    pipelining: 1,
    // Our own attempt timeout is exact; these are not.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: options.headerBytesMax,
    keepAliveTimeout: options.keepAliveMs,
  }
  const pool = new Pool(options.origin, shared)
  let others: Agent | undefined
  let named: Agent | undefined

  function dispatcherFor({ origin, isNamed }: WireRequest): Dispatcher {
    if (origin === options.origin) return pool
    if (!isNamed) {
      others ??= new Agent(shared)
      return others
    }
    const check = options.check ?? checkNamedAddress
    named ??= new Agent({ ...shared, connect: createConnector({ ...options, check }) })
    return named
  }

  return {
    send(request, scope, progress) {
      if (scope.isCancelled) return Promise.reject(scope.reason)
      return new Promise((resolve, reject) => {
        const { method, origin, path, headers, body } = request
        const where = `${method} ${origin}`
        const exchange = new Exchange({ where, scope, progress }, options.responseBytesMax, {
          resolve,
          reject,
        })
        const target = { origin, path, method, headers, body: (body ?? null) as string | null }
        dispatcherFor(request).dispatch(target as Dispatcher.DispatchOptions, exchange)
      })
    },
    async close() {
      if (!pool.closed) await Promise.all([pool.close(), others?.close(), named?.close()])
    },
  }
}
