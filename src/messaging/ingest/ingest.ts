import { hash } from 'node:crypto'
import type { EventValidator, Message } from '../../contracts/index.ts'
import { decodeEnvelope, parseJson } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { uuidFromDigest } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import { currentMessageContext, outgoingTraceparent } from '../../core/trace.ts'
import type { KnownEvent } from '../catalogue.ts'
import type { DeadLetter, OutgoingRecord } from '../transport.ts'
import { recordFor, refusedLetter } from '../wire/wire-record.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** What came from outside. */
export interface IngestInput {
  readonly bytes: Uint8Array
  readonly source: string
  readonly headers: Readonly<Record<string, string>>
  readonly id: string | undefined
}
/** Valid bytes as a record to publish, or the dead letter that keeps what was refused. */
export type Ingested =
  | { readonly id: string; readonly record: OutgoingRecord }
  | {
      readonly id: string
      readonly letter: Omit<DeadLetter, 'id'>
      readonly findings: readonly Finding[]
    }

export interface IngestOptions {
  readonly known: KnownEvent
  readonly validator: EventValidator
  readonly clock: Clock
  readonly nextId: () => string
  readonly nextTimestamp: () => string
  readonly messageBytesMax: number
}

/** Judges bytes of outsiders: never throws on what they hold. */
export function judge(input: IngestInput, options: IngestOptions): Ingested {
  const { known, validator } = options
  // One id for the same bytes under the same given id; else a fresh one, for two equal deliveries may both be meant.
  const id = input.id ?? options.nextId()
  let message: Message
  try {
    if (input.bytes.byteLength > options.messageBytesMax) throw tooLarge(input, options)
    message = messageOf(input, id, options)
  } catch (error) {
    const findings = isRefusal(error) ? error.refusal : findingsOf(error)
    return refused(input, id, { options, reason: 'UNDECODABLE', findings })
  }
  // Bytes that decode need not hold an id, nor a text as one; a dead letter has one in any case.
  const ownId = typeof message.id === 'string' && message.id !== '' ? message.id : id
  if (message.type !== known.event.name) {
    const finding = otherType(message.type, known.event.name)
    return refused(input, ownId, { options, reason: 'SCHEMA_MISMATCH', findings: [finding] })
  }
  if (!validator.check(message)) {
    return refused(input, ownId, {
      options,
      reason: 'SCHEMA_MISMATCH',
      findings: validator.findings(message),
    })
  }
  const isBare = known.contract.envelope === 'none'
  const record = recordFor(message, known, {
    headers: input.headers,
    // Without an envelope the body is the outsider's own bytes, to the last space.
    ...(isBare ? { rawBody: input.bytes } : {}),
    // An id that came from outside comes again when the outsider tries again.
    dedup: input.id !== undefined || !isBare,
  })
  return { id: message.id, record }
}

function otherType(type: unknown, expected: string): Finding {
  const place = { severity: 'error', pointer: '/type' } as const
  if (typeof type !== 'string' || type === '') {
    const message = `the bytes name no type, expected "${expected}"`
    return { code: 'MESSAGE_TYPE_MISSING', message, ...place }
  }
  const message = `the bytes say "${type.slice(0, 200)}", expected "${expected}"`
  return { code: 'UNKNOWN_EVENT', message, ...place }
}

/** An outsider's id as a message id: itself where it is a UUID, else one made from it, always the same. */
export function messageIdOf(id: string, event: string): string {
  const isUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(id)
  return isUuid ? id : uuidFromDigest(hash('sha256', `${event}\n${id}`, 'buffer'))
}

function messageOf(input: IngestInput, id: string, options: IngestOptions): Message {
  const { known } = options
  const { envelope } = known.contract
  if (envelope !== 'none') {
    return decodeEnvelope(
      {
        body: input.bytes,
        headers: input.headers,
        contentType: input.headers['content-type'] ?? 'application/json',
      },
      envelope,
    )
  }
  const inherited = currentMessageContext()
  const traceparent = input.headers.traceparent ?? outgoingTraceparent(inherited)
  return {
    id,
    type: known.event.name,
    source: input.source,
    timestamp: options.nextTimestamp(),
    correlation_id: inherited?.correlationId ?? options.nextId(),
    data: jsonOf(input.bytes),
    metadata: {
      schema_version: known.contract.version,
      ...(inherited?.causationId === undefined ? {} : { causation_id: inherited.causationId }),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
  }
}

/** Throws a refusal with the finding where the bytes are no UTF-8 or no JSON. */
function jsonOf(bytes: Uint8Array): Json {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw refusal({
      code: 'UNDECODABLE',
      severity: 'error',
      pointer: '',
      message: 'the bytes are not UTF-8',
    })
  }
  const parsed = parseJson(text)
  if ('finding' in parsed) throw refusal({ pointer: '', ...parsed.finding })
  return parsed.value
}

function refused(
  input: IngestInput,
  id: string,
  why: { options: IngestOptions; reason: string; findings: readonly Finding[] },
): Ingested {
  const { known, clock } = why.options
  const letter = refusedLetter({
    messageId: id,
    event: known.event.name,
    known,
    reason: why.reason,
    findings: why.findings,
    body: input.bytes,
    headers: input.headers,
    source: input.source,
    at: clock.now(),
  })
  return { id, findings: why.findings, letter }
}

interface Refusal {
  readonly refusal: readonly Finding[]
}

function refusal(finding: Finding): Refusal {
  return { refusal: [finding] }
}

function tooLarge(input: IngestInput, options: IngestOptions): Refusal {
  const message = `${input.bytes.byteLength} bytes came, and ${options.messageBytesMax} are allowed`
  return refusal({ code: 'MESSAGE_TOO_LARGE', severity: 'error', message })
}

function isRefusal(error: unknown): error is Refusal {
  return typeof error === 'object' && error !== null && 'refusal' in error
}

function findingsOf(error: unknown): readonly Finding[] {
  if (isTreatyError(error) && error.findings.length > 0) return error.findings
  return [
    {
      code: isTreatyError(error) ? error.code : 'UNDECODABLE',
      severity: 'error',
      pointer: '',
      message: errorMessage(error),
    },
  ]
}
