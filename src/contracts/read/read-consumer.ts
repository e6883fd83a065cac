import type { JsonObject } from '../../core/json.ts'
import type {
  Channel,
  ConsumedEvent,
  Consumer,
  DeadLetterPolicy,
  EventDefinition,
  Owner,
  RetryPolicy,
} from '../model.ts'
import type { Path } from '../source/source.ts'
import type { ReadContext } from './contract-reader.ts'
import {
  choiceAt,
  durationAt,
  entriesAt,
  listAt,
  mapAt,
  numberAt,
  present,
  readSchema,
  tableOf,
  textAt,
  textsAt,
} from './contract-reader.ts'

const dayMs = 86_400_000

/** Retry where the contract says nothing. */
export const retryDefault: RetryPolicy = {
  attempts: 5,
  baseMs: 1000,
  factor: 2,
  capMs: 300_000,
  jitter: 'full',
}
/** How long dead letters are kept where the contract says nothing. */
export const deadLetterRetentionMsDefault = 30 * dayMs

export function readOwner(value: JsonObject): Owner | undefined {
  const owner = mapAt(value, 'owner')
  const team = textAt(owner, 'team')
  if (team === undefined) return undefined
  return present({
    team,
    contact: textAt(owner, 'contact'),
    oncall: textAt(owner, 'oncall'),
  }) as Owner
}

function readRetry(value: JsonObject): RetryPolicy {
  const retry = mapAt(value, 'retry')
  return {
    attempts: numberAt(retry, 'attempts') ?? retryDefault.attempts,
    baseMs: durationAt(retry, 'base') ?? retryDefault.baseMs,
    factor: numberAt(retry, 'factor') ?? retryDefault.factor,
    capMs: durationAt(retry, 'cap') ?? Math.max(retryDefault.capMs, durationAt(retry, 'base') ?? 0),
    jitter: choiceAt(retry, 'jitter', retryDefault.jitter),
  }
}

/** The dead letter address of a consumer that names none. */
export function deadLetterAddressDefault(channelAddress: string, consumer: string): string {
  return `${channelAddress}.${consumer}.dlq`
}

function readDeadLetter(value: JsonObject, address: string): DeadLetterPolicy {
  const deadLetter = mapAt(value, 'deadLetter')
  return present({
    address: textAt(deadLetter, 'address') ?? address,
    retentionMs: durationAt(deadLetter, 'retention') ?? deadLetterRetentionMsDefault,
    owner: textAt(deadLetter, 'owner'),
    onDead: choiceAt<'next' | 'block'>(deadLetter, 'onDead', 'next'),
    onExpired: choiceAt<'dead-letter' | 'drop'>(deadLetter, 'onExpired', 'dead-letter'),
  }) as DeadLetterPolicy
}

function readConsumed(context: ReadContext, value: JsonObject, path: Path): ConsumedEvent {
  const hasSchema = value.needs !== undefined && listAt(value, 'needs') !== value.needs
  const needsPath = [...path, 'needs']
  const name = `needs of ${String(path.at(-1))}`
  const read = hasSchema ? readSchema(context, value.needs, needsPath, name) : undefined
  return present({
    needs: textsAt(value, 'needs'),
    needsSchema: read?.schema,
    handling: textAt(value, 'handling'),
  }) as ConsumedEvent
}

function readSla(value: JsonObject): JsonObject | undefined {
  if (value.sla === undefined) return undefined
  const sla = mapAt(value, 'sla')
  const processing = Object.keys(mapAt(sla, 'processing')).map((percentile) => [
    `${percentile}Ms`,
    durationAt(mapAt(sla, 'processing'), percentile),
  ])
  const lagMs = durationAt(mapAt(sla, 'lag'), 'max')
  return {
    ...(processing.length > 0 ? { processing: Object.fromEntries(processing) as JsonObject } : {}),
    ...(lagMs === undefined ? {} : { lag: { maxMs: lagMs } }),
  }
}

/** What the consumers of a contract can refer to. */
export interface ConsumerScope {
  readonly channels: Readonly<Record<string, Channel>>
  readonly events: Readonly<Record<string, EventDefinition>>
}

/** One entry of `consumers`, defaults filled in. */
export function readConsumer(
  context: ReadContext,
  name: string,
  value: JsonObject,
  scope: ConsumerScope,
): Consumer {
  const path = ['consumers', name]
  const events: Record<string, ConsumedEvent> = tableOf([])
  for (const [event, consumed] of entriesAt(value, 'events')) {
    events[event] = readConsumed(context, consumed, [...path, 'events', event])
  }
  const first = Object.keys(events).find((event) => scope.events[event] !== undefined)
  const channelName = first === undefined ? undefined : scope.events[first]?.channel
  const channel = scope.channels[channelName ?? ''] ?? Object.values(scope.channels)[0]
  const idempotency = mapAt(value, 'idempotency')
  const key = textAt(idempotency, 'key')
  const windowMs = durationAt(idempotency, 'window')
  return present({
    name,
    kind: choiceAt<'service' | 'agent'>(value, 'kind', 'service'),
    owner: readOwner(value),
    accepts: textAt(value, 'accepts') ?? '*',
    since: textAt(value, 'since'),
    events,
    start: choiceAt<'earliest' | 'latest'>(value, 'start', 'earliest'),
    idempotency: key === undefined || windowMs === undefined ? undefined : { key, windowMs },
    retry: readRetry(value),
    deadLetter: readDeadLetter(value, deadLetterAddressDefault(channel?.address ?? '', name)),
    sla: readSla(value),
    pending: value.pending === true,
  }) as Consumer
}
