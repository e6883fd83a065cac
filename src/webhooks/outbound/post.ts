import { type Dispatcher, request } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'

/** One request to an endpoint, signed and ready. */
export interface PostRequest {
  readonly method?: 'POST' | 'OPTIONS'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** For the whole: connection, headers and what is read of the body. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** What came back, or why nothing did. Never the target's idea of where else to go: redirects are not followed. */
export type PostResult =
  | {
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      /** The beginning of the body, at most 20 000 bytes. */
      readonly excerpt: string
    }
  | { readonly failure: 'timeout' | 'network' | 'denied' | 'aborted'; readonly message: string }

/** Makes one request and never rejects: what went wrong is a result. */
export type Post = (given: PostRequest) => Promise<PostResult>

/** Bytes of an answer that are read and kept; the rest is thrown away with the connection. */
const excerptBytesMax = 20_000
const excerptHeaders = [
  'content-type',
  'retry-after',
  'webhook-delivery',
  'webhook-allowed-origin',
  'webhook-allowed-rate',
  'location',
  'server',
]

/** Makes requests through a dispatcher, each bounded by its own time. */
export function createPost(dispatcher: Dispatcher, clock: Clock): Post {
  return async ({ method = 'POST', url, headers, body, timeoutMs, signal }) => {
    const controller = new AbortController()
    let isLate = false
    const timer = clock.setTimeout(() => {
      isLate = true
      controller.abort()
    }, timeoutMs)
    const onAbort = () => controller.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const answer = await request(url, {
        method,
        headers,
        body: method === 'OPTIONS' ? null : body,
        dispatcher,
        signal: controller.signal,
        // Ours is the only clock, so that a test can own it.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      const excerpt = await excerptOf(answer.body)
      return { status: answer.statusCode, headers: keptOf(answer.headers), excerpt }
    } catch (error) {
      if (isLate) return { failure: 'timeout', message: `no answer within ${timeoutMs} ms` }
      if (signal?.aborted) return { failure: 'aborted', message: 'the sender is closing' }
      if (isTreatyError(error)) return { failure: 'denied', message: error.message }
      return { failure: 'network', message: networkMessage(error) }
    } finally {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}

async function excerptOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    const bytes = chunk as Buffer
    chunks.push(bytes.subarray(0, excerptBytesMax - length))
    length += bytes.length
    // Leaving the loop destroys the stream, and with it a connection that would send without end.
    if (length >= excerptBytesMax) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function keptOf(headers: Readonly<Record<string, string | string[] | undefined>>) {
  const kept: Record<string, string> = {}
  for (const name of excerptHeaders) {
    const value = headers[name]
    if (value !== undefined)
      kept[name] = (Array.isArray(value) ? value.join(', ') : value).slice(0, 500)
  }
  return kept
}

function networkMessage(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? `${code}: ${errorMessage(error)}` : errorMessage(error)
}
