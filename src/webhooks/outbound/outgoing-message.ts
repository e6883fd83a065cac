import { parseJson } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import type { FilterMessage } from './filter.ts'
import { decode } from './message-cache.ts'
import type { SendOptions } from './sender-options.ts'
import type { StoredMessage } from './sender-records.ts'

/** How bodies are made. */
export interface BodyRules {
  readonly bodyBytesMax: number
  readonly oversize: 'thin' | 'refuse'
  readonly hrefOf?: ((messageId: string) => string) | undefined
}

/** Everything about a message but who gets it. */
export type UnaddressedMessage = Omit<StoredMessage, 'targets'>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What is stored of a message; its body is made once, for all attempts. @throws MESSAGE_TOO_LARGE */
export function outgoingMessage(
  options: SendOptions,
  { seq, at }: { readonly seq: string; readonly at: number },
  rules: BodyRules,
): UnaddressedMessage {
  const { type, data } = options
  const id = options.id ?? seq
  const timestamp = options.timestamp ?? new Date(at).toISOString()
  const bytes = options.body ?? Buffer.from(JSON.stringify({ type, timestamp, data }))
  const contentType = options.contentType ?? 'application/json'
  const base = { seq, id, type, at, contentType, ...contextOf(options) }
  const { bodyBytesMax, oversize, hrefOf } = rules
  const text = textOf(bytes)
  if (bytes.length <= bodyBytesMax) {
    return text === undefined
      ? { ...base, body: Buffer.from(bytes).toString('base64'), isBase64: true }
      : { ...base, body: text }
  }
  if (oversize === 'refuse' || text === undefined) {
    throw new TreatyError(
      'MESSAGE_TOO_LARGE',
      `the body has ${bytes.length} bytes, and ${bodyBytesMax} are allowed`,
      { hint: 'Send a reference instead, or raise bodyBytesMax.' },
    )
  }
  const href = hrefOf?.(id)
  const thin = {
    type,
    timestamp,
    thin: true,
    data: { id, ...(href === undefined ? {} : { href }) },
  }
  return { ...base, contentType: 'application/json', body: JSON.stringify(thin), full: text }
}

function contextOf(options: SendOptions) {
  const { key, source, correlationId, metadata, body } = options
  return {
    ...(key === undefined ? {} : { orderKey: key }),
    ...(source === undefined ? {} : { source }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(metadata === undefined ? {} : { metadata: metadata as JsonObject }),
    ...(body === undefined ? {} : { isRaw: true }),
  }
}

/** A message as filters see it. `data` is spared the parsing where the caller has it still. */
export function filterMessage(
  message: UnaddressedMessage,
  given?: { readonly data: unknown },
): FilterMessage {
  const { type, id, at, orderKey, source, correlationId, metadata } = message
  const content = given ?? contentOf(message)
  return {
    event: type,
    id,
    data: content.data,
    key: orderKey ?? null,
    source: source ?? '',
    timestamp: new Date(at).toISOString(),
    correlationId: correlationId ?? null,
    metadata: metadata ?? {},
  }
}

function contentOf(message: UnaddressedMessage): { readonly data: unknown } {
  const { full, isRaw } = message
  const bytes = decode(full === undefined ? message : { body: full })
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'))
  if (!('value' in parsed)) return { data: null }
  const value: unknown = parsed.value
  return isRaw ? { data: value } : { data: (value as { data?: unknown }).data ?? null }
}

/** Undefined where the bytes are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
