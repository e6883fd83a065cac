import type { Json } from '../../core/json.ts'
import type { HeaderFields } from '../header-fields.ts'

/** A request as it came in, before anything was believed of it. */
export interface InboundRequest {
  readonly method: string
  /** Path and query, or the whole URL. */
  readonly url: string
  readonly headers: HeaderFields
  /** The bytes as they were received. */
  readonly rawBody: Uint8Array
  /** Address of the peer; decides whether its forwarding headers are believed. */
  readonly remoteAddress?: string
}

/** A delivery that was verified: what `event`, `map`, `handle` and inboxes are given. */
export interface InboundDelivery {
  readonly source: string
  /** The provider's id, or a hash of the content: the same in each retry. */
  readonly id: string
  /** In lower case; without credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** After decompression where the request was compressed. */
  readonly rawBody: Uint8Array
  /** The body as JSON; undefined where it is none. */
  readonly json: Json | undefined
  /** Epoch milliseconds. */
  readonly receivedAt: number
  /** Which secret verified; undefined for unsigned sources. */
  readonly secretIndex: number | undefined
  readonly url: string
}

/** The answer to a request. */
export interface InboundAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Credentials, what belongs to one connection only, and our own words; everything else is kept with the bytes. */
const dropped =
  /^(authorization|cookie|x-api-key|proxy-.*|connection|keep-alive|te|trailer|transfer-encoding|upgrade|host|content-length|expect|x-forwarded-.*|forwarded|treaty-.*)$/

/** The headers that are kept with a delivery. */
export function keptHeaders(headers: HeaderFields): Record<string, string> {
  const entries: Iterable<[string, unknown]> =
    typeof (headers as Headers).entries === 'function'
      ? (headers as Headers).entries()
      : Object.entries(headers)
  const kept: Record<string, string> = {}
  for (const [name, value] of entries) {
    const lower = name.toLowerCase()
    const text = Array.isArray(value) ? value.join(', ') : value
    if (typeof text === 'string' && !dropped.test(lower)) kept[lower] = text
  }
  return kept
}
