import type {
  Contract,
  EventValidator,
  Message,
  Metadata,
  Priority,
} from '../../contracts/index.ts'
import { encodeEnvelope, nestsTooDeep } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { createIdSource, createTimestampSource } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import { valueAt } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import type { MessageContext } from '../../core/trace.ts'
import { currentMessageContext, outgoingTraceparent } from '../../core/trace.ts'
import { dedupWindowMsDefault } from '../topology/topology.ts'
import type { OutgoingRecord } from '../transport.ts'
import { priorityLevels } from '../transport.ts'
import type { PublishOptions } from '../types.ts'

/** What one message type needs to go out. */
export interface OutgoingSpec {
  readonly type: string
  readonly contract: Contract
  readonly address: string
  readonly keyPath: string | undefined
  readonly validator: Pick<EventValidator, 'check' | 'findings'>
  readonly source: string
}
/** A message that is valid and fits, ready to be sent. */
export interface Outgoing {
  readonly message: Message
  readonly record: OutgoingRecord
}
/** What replies carry beside the ordinary options. */
export interface OutgoingExtras {
  readonly replyTo?: string
  readonly causationId?: string
}

/** Makes valid records of data: identity, time, correlation, key, validation, wire form, size. */
export interface OutgoingFactory {
  /**
   * @throws SCHEMA_MISMATCH with findings · KEY_CONFLICT · MESSAGE_TOO_LARGE · OPTION_INVALID · DATA_UNENCODABLE
   */
  make(
    spec: OutgoingSpec,
    data: unknown,
    options?: PublishOptions,
    extras?: OutgoingExtras,
  ): Outgoing
}

export function createOutgoingFactory(options: {
  readonly clock: Clock
  readonly messageBytesMax: number
}): OutgoingFactory {
  const { clock, messageBytesMax } = options
  const nextId = createIdSource(clock)
  const nextTimestamp = createTimestampSource(clock)

  return {
    make(spec, data, publish = {}, extras = {}) {
      checkOptions(publish)
      try {
        return makeOf(spec, data, publish, extras)
      } catch (error) {
        // Getters, toJSON and proxies are the caller's code, and JSON.stringify throws what has no code.
        throw isTreatyError(error) ? error : unencodable(spec, errorMessage(error), error)
      }
    },
  }

  function makeOf(
    spec: OutgoingSpec,
    data: unknown,
    publish: PublishOptions,
    extras: OutgoingExtras,
  ): Outgoing {
    const inherited = currentMessageContext()
    const key = keyOf(spec, data, publish.key)
    const message: Message = {
      id: publish.id ?? nextId(),
      type: spec.type,
      source: spec.source,
      timestamp: nextTimestamp(),
      correlation_id: publish.correlationId ?? inherited?.correlationId ?? nextId(),
      data: data as Json,
      metadata: metadataOf(spec, publish, { extras, inherited, key }),
    }
    if (!spec.validator.check(message)) throw mismatch(spec, message)
    const record = recordOf(spec, message, { key, options: publish, clock })
    if (record.body.byteLength > messageBytesMax) {
      throw new TreatyError(
        'MESSAGE_TOO_LARGE',
        `the message "${spec.type}" has ${record.body.byteLength} bytes, and ${messageBytesMax} are allowed`,
        {
          hint: 'Store the large part elsewhere and send a reference, or raise messageBytesMax.',
          details: { event: spec.type, bytes: record.body.byteLength, bytesMax: messageBytesMax },
        },
      )
    }
    if (nestsTooDeep(record.body)) {
      throw unencodable(spec, `nests more than ${limits.depthMax} levels deep`)
    }
    return { message, record }
  }
}

function unencodable(spec: OutgoingSpec, why: string, cause?: unknown): TreatyError {
  const reason = (why.split('\n')[0] ?? why).slice(0, 200)
  return new TreatyError(
    'DATA_UNENCODABLE',
    `the data of "${spec.type}" cannot be written as JSON: ${reason}`,
    {
      hint: 'Give plain JSON values: no BigInt, no circles, at most 128 levels.',
      details: { event: spec.type },
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

function mismatch(spec: OutgoingSpec, message: Message): TreatyError {
  const findings = spec.validator.findings(message)
  const first = findings[0]
  const isNamed = first?.pointer === undefined || first.message.startsWith(`${first.pointer} `)
  const place = isNamed || first.pointer === '' ? '' : ` at ${first.pointer}`
  return new TreatyError(
    'SCHEMA_MISMATCH',
    `the message "${spec.type}" does not satisfy contract "${spec.contract.id}"${first ? `: ${first.message}${place}` : ''}`,
    {
      hint: 'Correct the data at the pointers of the findings; nothing was sent.',
      details: { event: spec.type, contract: spec.contract.id },
      findings,
    },
  )
}

function keyOf(spec: OutgoingSpec, data: unknown, option: string | undefined): string | undefined {
  if (spec.keyPath === undefined) return option
  const value = valueAt(data, spec.keyPath)
  if (value === undefined || value === null) return option
  const key = typeof value === 'string' ? value : JSON.stringify(value)
  if (option !== undefined && option !== key) {
    throw new TreatyError(
      'KEY_CONFLICT',
      `the key option of "${spec.type}" is "${option}", but the contract takes "${key}" from data.${spec.keyPath}`,
      {
        hint: 'Leave the key option out: the contract says where the key is.',
        details: { event: spec.type },
      },
    )
  }
  return key
}

function metadataOf(
  spec: OutgoingSpec,
  options: PublishOptions,
  more: {
    readonly extras: OutgoingExtras
    readonly inherited: MessageContext | undefined
    readonly key: string | undefined
  },
): Metadata {
  const metadata: Record<string, Json> = { schema_version: spec.contract.version }
  const cause = more.extras.causationId ?? more.inherited?.causationId
  if (cause !== undefined) metadata.causation_id = cause
  if (options.priority !== undefined) metadata.priority = options.priority
  if (options.ttlMs !== undefined)
    metadata.ttl_seconds = Math.max(1, Math.ceil(options.ttlMs / 1000))
  if (more.key !== undefined) metadata.key = more.key
  if (more.extras.replyTo !== undefined) metadata.reply_to = more.extras.replyTo
  const traceparent = outgoingTraceparent(more.inherited)
  if (traceparent !== undefined) metadata.traceparent = traceparent
  if (more.inherited?.tracestate !== undefined) metadata.tracestate = more.inherited.tracestate
  return metadata
}

function recordOf(
  spec: OutgoingSpec,
  message: Message,
  more: { readonly key: string | undefined; options: PublishOptions; clock: Clock },
): OutgoingRecord {
  const { key, options, clock } = more
  const wire = encodeEnvelope(message, spec.contract.envelope)
  const cause = message.metadata?.causation_id
  const record: { -readonly [Name in keyof OutgoingRecord]: OutgoingRecord[Name] } = {
    id: message.id,
    address: spec.address,
    type: spec.type,
    body: wire.body,
    headers: options.headers ? { ...options.headers, ...wire.headers } : wire.headers,
    contentType: wire.contentType,
    correlationId: message.correlation_id,
  }
  // Few messages have any of these: a conditional spread for each would copy the record six times.
  if (key !== undefined) record.key = key
  if (options.priority !== undefined) record.priority = levelOf(options.priority)
  if (options.ttlMs !== undefined) record.expiresAt = clock.now() + options.ttlMs
  if (options.delayMs !== undefined) record.deliverAt = clock.now() + options.delayMs
  if (options.id !== undefined) record.dedupWindowMs = dedupWindowMsDefault
  if (cause !== undefined) record.causationId = cause
  return record
}

function levelOf(priority: Priority): number {
  return priorityLevels.indexOf(priority)
}

function checkOptions(options: PublishOptions): void {
  const { ttlMs, delayMs, priority, key, headers } = options
  if (key !== undefined && typeof key !== 'string') throw invalid('key', key, 'a text')
  if (headers !== undefined && !isTextMap(headers)) {
    throw invalid('headers', headers, 'an object of texts')
  }
  if (ttlMs !== undefined && !(ttlMs > 0))
    throw invalid('ttlMs', ttlMs, 'a positive number of milliseconds')
  if (delayMs !== undefined && !(delayMs >= 0))
    throw invalid('delayMs', delayMs, 'zero or more milliseconds')
  if (priority !== undefined && !priorityLevels.includes(priority)) {
    throw invalid('priority', priority, priorityLevels.join(', '))
  }
}

function isTextMap(value: object): boolean {
  return typeof value === 'object' && Object.values(value).every((text) => typeof text === 'string')
}

function invalid(option: string, value: unknown, expected: string): TreatyError {
  return new TreatyError(
    'OPTION_INVALID',
    `the option ${option} is ${shownValue(value)}, expected ${expected}`,
    {
      hint: `Give ${option} as ${expected}.`,
      details: { option },
    },
  )
}

function shownValue(value: unknown): string {
  return typeof value === 'object' ? 'another object' : String(value).slice(0, 100)
}
