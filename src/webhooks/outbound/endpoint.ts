import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { signingKey, symmetricKey } from '../keys.ts'
import { isPattern } from './event-types.ts'
import { compileFilter } from './filter.ts'

/** What a target is asked to be. */
export interface EndpointOptions {
  readonly url: string
  /** Patterns of event types: `order.placed`, `order.*`, `#`. Default all. */
  readonly events?: readonly string[]
  /**
   * A condition in CEL over `event`, `id`, `data`, `key`, `source`, `timestamp`, `correlationId` and `metadata`, such as
   * `data.total > 100.0`: only messages for which it is true. One that fails on a message is told in the delivery log. Empty: none.
   */
  readonly filter?: string
  /** Default: a new one. */
  readonly id?: string
  /** Default: a new one by `algorithm`. */
  readonly secret?: string
  readonly algorithm?: 'hmac-sha256' | 'ed25519'
  /** Sent with each delivery; names that the protocol uses are refused. */
  readonly headers?: Readonly<Record<string, string>>
  /** Deliveries a second on average; absent: not bounded. */
  readonly throttlePerSecond?: number
  /** Deliveries at the same time. Default 10. */
  readonly concurrency?: number
  /** `fifo`: one after the other; `key`: one after the other for each key. Default `none`. */
  readonly order?: 'none' | 'key' | 'fifo'
  /** What an ordered endpoint does with a message whose attempts are spent. Default `skip`. */
  readonly onExhausted?: 'skip' | 'stop'
  readonly description?: string
  /** Milliseconds before each attempt after the first. Default: the sender's. */
  readonly schedule?: readonly number[]
  /** Milliseconds for one attempt. Default: the sender's. */
  readonly timeoutMs?: number
  /** Who looks after it, where that is a program: `configuration`. */
  readonly managedBy?: string
}

/** Only `active` endpoints are delivered to; `unverified` ones have not shown yet that they want it. */
export type EndpointStatus = 'active' | 'disabled' | 'unverified'

/** A target as people and programs see it: without secrets. */
export interface Endpoint {
  readonly id: string
  readonly url: string
  readonly events: readonly string[]
  readonly filter?: string
  readonly status: EndpointStatus
  /** Why it is disabled: `gone`, `failing`, `stopped`, `slow filter`, `withdrawn`, or what somebody said. */
  readonly disabledReason?: string
  readonly headers: Readonly<Record<string, string>>
  readonly throttlePerSecond?: number
  readonly concurrency: number
  readonly order: 'none' | 'key' | 'fifo'
  readonly onExhausted: 'skip' | 'stop'
  readonly description?: string
  readonly schedule?: readonly number[]
  readonly timeoutMs?: number
  readonly managedBy?: string
  readonly createdAt: number
  /** Secrets that sign now: more than one while a secret is changed. */
  readonly secretsInUse: number
}

/** As it lies in the store. */
export interface EndpointRecord extends Omit<Endpoint, 'secretsInUse'> {
  readonly secrets: readonly EndpointSecret[]
}
/** A secret as the store has it: sealed, and the time until which it still signs. */
export interface EndpointSecret {
  /** Sealed where the sender has a key. */
  readonly secret: string
  /** Epoch milliseconds after which it signs no more; absent: the present one. */
  readonly until?: number
}

const reservedHeaders =
  /^(webhook-.*|svix-.*|content-length|content-type|host|connection|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*)$/i

/** Longest schedule. */
const attemptsMost = 100

/** @throws OPTION_INVALID · WEBHOOK_FILTER_INVALID */
export function checkEndpoint(options: Partial<EndpointOptions>): void {
  const { id, events, filter, headers = {}, secret } = options
  if (filter !== undefined && filter !== '') compileFilter(filter)
  if (id !== undefined && !/^[\w-]{1,64}$/.test(id)) {
    throw invalid(`"${id}" is no id for an endpoint`, 'Use up to 64 letters, digits, _ and -.')
  }
  for (const pattern of events ?? []) {
    if (!isPattern(pattern)) {
      throw invalid(`"${pattern}" is no pattern of event types`, 'Write order.placed, order.* or #')
    }
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!isOwnHeader(name) || !/^[\x20-\x7e]{0,1000}$/.test(value)) {
      throw invalid(`the header ${name} cannot be set for an endpoint`, 'Choose another name.')
    }
  }
  checkPace(options)
  if (secret !== undefined && !signingKey(secret) && !symmetricKey(secret)) {
    throw invalid('the secret is neither whsec_, whsk_ nor base64', 'Leave it out for a new one.')
  }
}

/** True for a header that an endpoint may be given: not one that the protocol uses itself. */
export function isOwnHeader(name: string): boolean {
  return /^[\w-]{1,100}$/.test(name) && !reservedHeaders.test(name)
}

function checkPace({
  concurrency,
  throttlePerSecond,
  schedule,
  timeoutMs,
}: Partial<EndpointOptions>): void {
  if (concurrency !== undefined && !(concurrency >= 1 && concurrency <= 1000)) {
    throw invalid(
      `concurrency is ${concurrency}, expected 1 to 1000`,
      'Give a number in the range.',
    )
  }
  if (throttlePerSecond !== undefined && !(throttlePerSecond > 0)) {
    throw invalid(`throttlePerSecond is ${throttlePerSecond}`, 'Give a number greater than 0.')
  }
  if (
    schedule !== undefined &&
    (schedule.length > attemptsMost || schedule.some((delay) => !(delay >= 0)))
  ) {
    throw invalid(
      `the schedule is no list of at most ${attemptsMost} delays`,
      'Give milliseconds before each attempt after the first.',
    )
  }
  if (timeoutMs !== undefined && !(timeoutMs >= 1)) {
    throw invalid(`timeoutMs is ${timeoutMs}`, 'Give milliseconds, 1 or more.')
  }
}

function invalid(message: string, hint: string): TreatyError {
  return new TreatyError('OPTION_INVALID', message, { hint })
}

/** The record that {@link asJson} made a document of. */
export function asRecord(value: unknown): EndpointRecord {
  return value as EndpointRecord
}

/** A record as the store takes it. */
export function asJson(record: object): JsonObject {
  return record as unknown as JsonObject
}

/** The secrets that sign at `now`, the present one first. */
export function secretsAt({ secrets }: EndpointRecord, now: number): readonly EndpointSecret[] {
  return secrets.filter(({ until }) => until === undefined || until > now)
}

/** What the options make of an endpoint, with the defaults. */
export function fieldsOf(options: EndpointOptions) {
  const { filter, throttlePerSecond, description, schedule, timeoutMs, managedBy } = options
  return {
    url: options.url,
    events: options.events ?? ['#'],
    headers: options.headers ?? {},
    concurrency: options.concurrency ?? 10,
    order: options.order ?? ('none' as const),
    onExhausted: options.onExhausted ?? ('skip' as const),
    ...(filter === undefined || filter === '' ? {} : { filter }),
    ...(throttlePerSecond === undefined ? {} : { throttlePerSecond }),
    ...(description === undefined ? {} : { description }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(managedBy === undefined ? {} : { managedBy }),
  }
}

/** The endpoint as others may see it, without its secrets; `now` in epoch milliseconds. */
export function viewOf(record: EndpointRecord, now: number): Endpoint {
  const { secrets: _secrets, ...rest } = record
  return { ...rest, secretsInUse: secretsAt(record, now).length }
}
