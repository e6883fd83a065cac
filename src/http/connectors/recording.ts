import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { TreatyError } from '../../core/errors.ts'
import { redact } from '../client/redact.ts'
import type { HttpTransport, WireRequest, WireResponse } from '../client/transport.ts'

/** Where exchanges are noted, and what of them is left out. */
export interface RecordingOptions {
  /** JSON lines, one exchange each. */
  readonly file: string
  /** Query parameters that are left out, such as an API key. */
  readonly ignoreQuery?: readonly string[]
}

interface Recorded {
  readonly method: string
  readonly path: string
  /** SHA-256 of the body, in hex; empty for none. */
  readonly body: string
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

const hiddenHeaders = new Set(['set-cookie', 'www-authenticate', 'authorization'])

function pathOf(request: WireRequest, ignore: readonly string[]): string {
  const url = new URL(request.origin + request.path)
  for (const name of ignore) url.searchParams.delete(name)
  return url.pathname + url.search
}

function digestOf({ body }: WireRequest): string {
  if (body === undefined) return ''
  if (body instanceof Readable) return 'stream'
  return createHash('sha256').update(body).digest('hex')
}

/** An answer fit for a file that is committed: no cookies, no tokens. */
function keptResponse({ status, headers, body }: WireResponse): Recorded['response'] {
  const kept = Object.entries(headers).filter(([name]) => !hiddenHeaders.has(name))
  const isEncoded = headers['content-encoding'] !== undefined
  const text = Buffer.from(body).toString('utf8')
  const isToken = !isEncoded && /"(access|refresh|id)_token"/.test(text)
  const bytes = isToken ? Buffer.from(redactTokens(text)) : Buffer.from(body)
  const headersKept = kept.filter(([name]) => !isToken || name !== 'content-length')
  return { status, headers: Object.fromEntries(headersKept), body: bytes.toString('base64') }
}

function redactTokens(text: string): string {
  return redact(text, []).replaceAll(
    /("(?:access|refresh|id)_token"\s*:\s*)\*\*\*/g,
    '$1"replayed"',
  )
}

/** Passes everything on and notes it. Request headers and bodies are not kept, only a digest of the body. */
export function recordTransport(network: HttpTransport, options: RecordingOptions): HttpTransport {
  return {
    async send(request, scope, progress) {
      const response = await network.send(request, scope, progress)
      const recorded: Recorded = {
        method: request.method,
        path: pathOf(request, options.ignoreQuery ?? []),
        body: digestOf(request),
        response: keptResponse(response),
      }
      appendFileSync(options.file, `${JSON.stringify(recorded)}\n`)
      return response
    },
    close: () => network.close(),
  }
}

/**
 * Answers from a recording, each exchange in its order, the last of a kind over and over; nothing is sent.
 *
 * @throws RECORDING_MISSING on a call that was not recorded
 */
export function replayTransport(options: RecordingOptions): HttpTransport {
  const recorded = new Map<string, Recorded['response'][]>()
  for (const line of readFileSync(options.file, 'utf8').split('\n')) {
    if (line.trim() === '') continue
    const { method, path, body, response } = JSON.parse(line) as Recorded
    const key = `${method} ${path} ${body}`
    recorded.set(key, [...(recorded.get(key) ?? []), response])
  }
  return {
    send(request) {
      const path = pathOf(request, options.ignoreQuery ?? [])
      const answers = recorded.get(`${request.method} ${path} ${digestOf(request)}`)
      const answer = answers && answers.length > 1 ? answers.shift() : answers?.[0]
      if (answer === undefined) {
        return Promise.reject(
          new TreatyError(
            'RECORDING_MISSING',
            `${request.method} ${path} is not in the recording`,
            {
              details: { file: options.file },
            },
          ),
        )
      }
      return Promise.resolve({
        ...answer,
        headers: { ...answer.headers },
        body: Buffer.from(answer.body, 'base64'),
      })
    },
    close: () => Promise.resolve(),
  }
}
