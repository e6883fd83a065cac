import type { IncomingRecord, OutgoingRecord } from '../transport.ts'

/** Before a caller's own header that has the name of one of ours. */
const kept = 'treaty-own-'

/** How a broker's binding of CloudEvents 1.0 spells the attributes of the binary mode; we spell them as HTTP does. */
export type CloudEventsPrefix = 'ce-' | 'ce_' | 'cloudEvents:'

const fields = {
  id: 'treaty-id',
  type: 'treaty-type',
  key: 'treaty-key',
  priority: 'treaty-priority',
  expiresAt: 'treaty-expires-at',
  deliverAt: 'treaty-deliver-at',
  correlationId: 'treaty-correlation-id',
  causationId: 'treaty-causation-id',
} as const
/** Written for brokers that have no field for it. */
const contentTypeField = 'content-type'
const ours: ReadonlySet<string> = new Set([...Object.values(fields), contentTypeField])
/** A header of the envelope `none`, which says id, type and correlation in headers of the same names as ours. */
const bareMark = 'treaty-source'
const shared = [fields.id, fields.type, fields.correlationId] as const

/** A record's fields and headers as headers of a broker's message; the body travels as it is. */
export function toBrokerHeaders(
  record: OutgoingRecord,
  cloudEvents: CloudEventsPrefix,
): Record<string, string> {
  const headers = emptyHeaders()
  headers[contentTypeField] = record.contentType
  for (const [field, name] of Object.entries(fields)) {
    const value = record[field as keyof typeof fields]
    if (value !== undefined) headers[name] = String(value)
  }
  const isBare = record.headers[bareMark] !== undefined
  for (const [name, value] of Object.entries(record.headers)) {
    if (isBare && headers[name] === value) continue
    if (ours.has(name)) headers[`${kept}${name}`] = value
    else if (name.startsWith('ce-')) headers[`${cloudEvents}${name.slice(3)}`] = value
    else headers[name] = value
  }
  return { ...headers }
}

/** What a broker knows of a message beside its headers. */
export interface BrokerMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly address: string
  readonly position: string
  readonly publishedAt: number
  /** The broker's own key. */
  readonly key?: string
  /** The broker's own field, where it has one. */
  readonly contentType?: string
  /** The id to take where neither a header nor the body names one. Default `<address>/<position>`. */
  readonly id?: string
}

/**
 * The record of a message on a broker. Other people's programs write to our channels too, so nothing is taken for granted: identity and
 * type are looked for in our headers, then in those of CloudEvents, then in a JSON body. What stays unknown is an
 * empty type, and the reader decides.
 */
export function fromBrokerHeaders(
  message: BrokerMessage,
  cloudEvents: CloudEventsPrefix,
): IncomingRecord {
  const own = emptyHeaders()
  const headers = emptyHeaders()
  for (const [name, value] of Object.entries(message.headers)) {
    if (name.startsWith(kept)) headers[name.slice(kept.length)] = value
    else if (ours.has(name)) own[name] = value
    else if (name.startsWith(cloudEvents)) headers[`ce-${name.slice(cloudEvents.length)}`] = value
    else headers[name] = value
  }
  if (headers[bareMark] !== undefined) {
    for (const name of shared) {
      const value = own[name]
      if (value !== undefined) headers[name] ??= value
    }
  }
  const isForeign = own[fields.type] === undefined
  const hints = isForeign ? foreignHints(headers, message.body) : {}
  const text = (field: keyof typeof fields) => own[fields[field]]
  const number = (field: keyof typeof fields) => {
    const value = Number(own[fields[field]] ?? Number.NaN)
    return Number.isFinite(value) ? value : undefined
  }
  return {
    id: text('id') ?? hints.id ?? message.id ?? `${message.address}/${message.position}`,
    type: text('type') ?? hints.type ?? '',
    address: message.address,
    position: message.position,
    publishedAt: message.publishedAt,
    body: message.body,
    headers: { ...headers },
    contentType: message.contentType ?? own[contentTypeField] ?? 'application/json',
    ...present({
      key: text('key') ?? message.key,
      priority: number('priority'),
      expiresAt: number('expiresAt'),
      deliverAt: number('deliverAt'),
      correlationId: text('correlationId'),
      causationId: text('causationId'),
    }),
  }
}

/** Without a prototype: `__proto__` is a name like any other. */
function emptyHeaders(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function present<Fields extends Record<string, unknown>>(
  values: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as never
}

interface Hints {
  readonly id?: string
  readonly type?: string
}

/** Identity and type of a message that was not written by Treaty. */
function foreignHints(headers: Readonly<Record<string, string>>, body: Uint8Array): Hints {
  const type = headers['ce-type']
  if (type !== undefined) return present({ type, id: headers['ce-id'] })
  if (body[0] !== 0x7b) return {} // No JSON object begins otherwise than with a brace.
  try {
    const value = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>
    return present({
      type: textOf(value.type) ?? textOf(value.eventType),
      id: textOf(value.id) ?? textOf(value.eventId),
    })
  } catch {
    return {} // No JSON: the reader says so, with the bytes.
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
