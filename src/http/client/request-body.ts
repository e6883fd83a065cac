import { Readable } from 'node:stream'
import type { ReadableStream as WebStream } from 'node:stream/web'
import { errorMessage } from '../../core/errors.ts'
import { invalidOption } from '../resilience/policy.ts'

/** What is put on the wire. */
export interface EncodedBody {
  readonly payload: string | Uint8Array | Readable
  /** Undefined: only the caller knows. */
  readonly contentType: string | undefined
  /** True for a form with boundaries, whose type nobody else can know. */
  readonly isTypeFixed?: boolean
}

/** The body of one call, for as many attempts as it allows. */
export interface RequestBody {
  /** False: it can be read once, so there is one attempt. */
  readonly isReplayable: boolean
  /** For one attempt. */
  next(): EncodedBody | undefined | Promise<EncodedBody | undefined>
}

function isStream(
  body: unknown,
): body is Readable | WebStream | AsyncIterable<Uint8Array | string> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

function encode(body: unknown): EncodedBody | undefined {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') return { payload: body, contentType: undefined }
  if (body instanceof Uint8Array) return { payload: body, contentType: 'application/octet-stream' }
  if (body instanceof ArrayBuffer) {
    return { payload: new Uint8Array(body), contentType: 'application/octet-stream' }
  }
  if (body instanceof URLSearchParams) {
    const contentType = 'application/x-www-form-urlencoded;charset=UTF-8'
    return { payload: body.toString(), contentType }
  }
  if (isStream(body)) {
    const payload = body instanceof Readable ? body : Readable.from(body)
    return { payload, contentType: 'application/octet-stream' }
  }
  return { payload: toJson(body), contentType: 'application/json' }
}

function toJson(body: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(body)
  } catch (error) {
    throw invalidOption(`the body is no JSON: ${errorMessage(error)}`, 'Give plain data.')
  }
  if (text === undefined) throw invalidOption('the body is no JSON', 'Give plain data.')
  return text
}

/** The platform knows how to write a form; its bytes are the same on every attempt. */
async function encodeForm(form: FormData): Promise<EncodedBody> {
  const written = new Response(form)
  const contentType = written.headers.get('content-type') ?? 'multipart/form-data'
  return { payload: await written.bytes(), contentType, isTypeFixed: true }
}

/**
 * Makes the body of a call: text and bytes as they are, forms as forms, streams once, functions anew for each attempt,
 * everything else as JSON. Undefined and null: no body.
 *
 * @throws HTTP_OPTIONS_INVALID for what JSON cannot carry
 */
export function createBody(body: unknown): RequestBody {
  if (typeof body === 'function') {
    const make = body as () => unknown
    return {
      isReplayable: true,
      next: () => {
        const made = make()
        if (made instanceof FormData) return encodeForm(made)
        return made instanceof Promise ? made.then(encode) : encode(made)
      },
    }
  }
  if (body instanceof FormData) {
    const form = encodeForm(body)
    // Whoever asks for it is told; until then nobody is.
    form.catch(() => undefined)
    return { isReplayable: true, next: () => form }
  }
  const encoded = encode(body)
  return { isReplayable: !(encoded?.payload instanceof Readable), next: () => encoded }
}
