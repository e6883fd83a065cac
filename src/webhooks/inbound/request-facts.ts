import { createHash } from 'node:crypto'
import { parseJson } from '../../contracts/index.ts'
import type { Json } from '../../core/json.ts'
import { readField } from '../header-fields.ts'
import type { InboundRequest } from './delivery.ts'
import type { Source } from './source.ts'

// What is read of a request before and after it is verified.

/** The one value of a header; undefined where there is none, or several. */
export function fieldText({ headers }: InboundRequest, name: string): string | undefined {
  const field = readField(headers, name)
  return 'value' in field ? field.value : undefined
}

/** False for a media type that the source does not take. */
export function isTypeTaken({ limits }: Source, request: InboundRequest): boolean {
  if (limits?.contentTypes === undefined) return true
  const type = (fieldText(request, 'content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  return limits.contentTypes.includes(type)
}

/** The URL as the provider called it, which is not the one that arrives behind a proxy. */
export function publicUrl(
  configured: string | undefined,
  request: InboundRequest,
  trustProxy: ((remoteAddress: string | undefined) => boolean) | undefined,
): string {
  const { url } = request
  if (/^https?:\/\//i.test(url) && configured === undefined) return url
  const path = url.replace(/^https?:\/\/[^/?#]*/i, '')
  if (configured !== undefined) {
    const at = path.indexOf('?')
    return at < 0 ? configured : configured + path.slice(at)
  }
  const isTrusted = trustProxy?.(request.remoteAddress) ?? false
  const forwarded = (name: string) => (isTrusted ? fieldText(request, name) : undefined)
  const protocol = forwarded('x-forwarded-proto')?.split(',')[0]?.trim() ?? 'http'
  const host = forwarded('x-forwarded-host')?.split(',')[0]?.trim() ?? fieldText(request, 'host')
  return `${protocol}://${host ?? 'localhost'}${path}`
}

/** The bytes as JSON; undefined where they are none. */
export function jsonOf(rawBody: Uint8Array): Json | undefined {
  const parsed = parseJson(Buffer.from(rawBody).toString('utf8'))
  return 'value' in parsed ? parsed.value : undefined
}

/** Unsigned senders may name their delivery too; else it is its content. */
export function unsignedId(headers: Readonly<Record<string, string>>, rawBody: Uint8Array): string {
  const id = headers['webhook-id'] ?? headers['idempotency-key']
  return id ?? `sha256-${createHash('sha256').update(rawBody).digest('hex')}`
}

/** What a store takes as a key; ids come from outside. */
export function claimKey(id: string): string {
  if (/^[\x21-\x7e]{1,256}$/.test(id)) return id
  return `sha256-${createHash('sha256').update(id).digest('hex')}`
}
