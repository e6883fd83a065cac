import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { Clock } from '../../core/clock.ts'

/** The bytes of a request, or the status that says why there are none. */
export type BodyRead = { readonly bytes: Uint8Array } | { readonly refusal: 400 | 408 | 413 | 415 }

/** Within what a body must come. */
export interface BodyLimits {
  readonly bytesMax: number
  /** Milliseconds within which the body must have come whole: who drips bytes is cut off. */
  readonly timeMs: number
  readonly clock: Clock
}

/** Reads a body within its limits; what is too large is refused before it is read, where the length is said. */
export function readBody(request: IncomingMessage, limits: BodyLimits): Promise<BodyRead> {
  const { bytesMax, timeMs, clock } = limits
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
    return Promise.resolve({ refusal: 413 })
  }
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let length = 0
    const timer = clock.setTimeout(() => finish({ refusal: 408 }), timeMs)
    const finish = (result: BodyRead) => {
      clock.clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken)
      if ('refusal' in result) request.pause()
      resolve(result)
    }
    const onData = (chunk: Uint8Array) => {
      length += chunk.length
      if (length > bytesMax) finish({ refusal: 413 })
      else chunks.push(chunk)
    }
    const onEnd = () => {
      const [only] = chunks
      finish({ bytes: chunks.length === 1 && only ? only : Buffer.concat(chunks) })
    }
    const onBroken = () => finish({ refusal: 400 })
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
  })
}

/** The same for a fetch-style request. */
export async function readStream(
  stream: ReadableStream<Uint8Array> | null,
  limits: BodyLimits,
): Promise<BodyRead> {
  if (stream === null) return { bytes: new Uint8Array() }
  const { bytesMax, timeMs, clock } = limits
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  let isLate = false
  const timer = clock.setTimeout(() => {
    isLate = true
    reader.cancel().catch(() => undefined)
  }, timeMs)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (isLate) return { refusal: 408 }
      if (done) return { bytes: Buffer.concat(chunks) }
      length += value.length
      if (length > bytesMax) {
        reader.cancel().catch(() => undefined)
        return { refusal: 413 }
      }
      chunks.push(value)
    }
  } catch {
    return { refusal: isLate ? 408 : 400 }
  } finally {
    clock.clearTimeout(timer)
  }
}

/** A small bomb may grow to this many times its size, and never beyond the limit of bodies. */
const inflationMax = 20

const inflaters = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const

/** The body as it was before `Content-Encoding`. Called after the signature, which covers the compressed bytes. */
export async function decoded(
  bytes: Uint8Array,
  encoding: string,
  bytesMax: number,
): Promise<BodyRead> {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return { bytes }
  if (!Object.hasOwn(inflaters, name)) return { refusal: 415 }
  const maxOutputLength = Math.min(bytesMax, Math.max(1024, bytes.length * inflationMax))
  try {
    return { bytes: await inflaters[name as keyof typeof inflaters](bytes, { maxOutputLength }) }
  } catch (error) {
    const isTooLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    return { refusal: isTooLarge ? 413 : 400 }
  }
}
