import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type {
  Channel,
  CommandDefinition,
  Consumer,
  Contract,
  Deprecation,
  EnvelopeKind,
  EventDefinition,
  JsonSchema,
  Pattern,
  PatternStyle,
  Producer,
  Review,
  Sla,
  Upcast,
  Waiver,
} from '../model.ts'
import type { SchemaTarget } from '../schema/schema-store.ts'
import type { ReadContext, ReadSchema } from './contract-reader.ts'
import {
  choiceAt,
  durationAt,
  entriesAt,
  listAt,
  mapAt,
  numberAt,
  percentAt,
  present,
  readSchema,
  tableOf,
  textAt,
  textsAt,
} from './contract-reader.ts'
import { readExamples } from './examples.ts'
import { readConsumer, readOwner } from './read-consumer.ts'

/** How long the caller of a command waits where the contract says nothing. */
export const commandTimeoutMsDefault = 30_000
/** What stops a release where the contract says nothing. */
export const gateBlockDefault = [
  'breaking-change',
  'consumer-impact',
  'invalid-example',
  'unknown-verdict',
  'missing-error-handling',
] as const

/** A contract as read, with what its checks still need to know. */
export interface ReadResult {
  readonly contract: Contract
  /** Where the schema of each event and command came from. */
  readonly targets: ReadonlyMap<string, SchemaTarget>
}

function readPattern(value: Json | undefined): Pattern {
  const parts = isJsonObject(value)
    ? value
    : { style: typeof value === 'string' ? value : 'pub-sub' }
  const style = choiceAt<PatternStyle>(parts, 'style', 'pub-sub')
  const timing = style === 'request-reply' ? 'sync' : 'async'
  return {
    style,
    timing: choiceAt<'sync' | 'async'>(parts, 'timing', timing),
    initiative: choiceAt<'push' | 'pull'>(parts, 'initiative', 'push'),
  }
}

function readEnvelope(value: JsonObject): EnvelopeKind {
  const kind = choiceAt<EnvelopeKind | 'cloudevents'>(value, 'envelope', 'treaty')
  return kind === 'cloudevents' ? 'cloudevents-structured' : kind
}

function readChannel(name: string, value: JsonObject): Channel {
  const key = textAt(value, 'key')
  return present({
    name,
    address: textAt(value, 'address') ?? name,
    key,
    ordering: choiceAt<Channel['ordering']>(
      value,
      'ordering',
      key === undefined ? 'none' : 'per-key',
    ),
    retentionMs: durationAt(value, 'retention'),
    shared: value.shared === true ? true : undefined,
    bindings: mapAt(value, 'bindings') as Channel['bindings'],
  }) as Channel
}

function readDeprecation(value: JsonObject): Deprecation | undefined {
  const deprecated = mapAt(value, 'deprecated')
  const since = textAt(deprecated, 'since')
  if (since === undefined) return undefined
  const sunset = textAt(deprecated, 'sunset')
  return present({ since, sunset, use: textAt(deprecated, 'use') }) as Deprecation
}

function schemaFile(read: ReadSchema | undefined): string | undefined {
  return read?.target.document.id.startsWith('inline:')
    ? undefined
    : read?.target.document.source.file
}

/** The schema of the model has none, because what is inside it refers to it locally. */
function schemaId(read: ReadSchema | undefined): string | undefined {
  if (read === undefined) return undefined
  const { document, pointer } = read.target
  let schema: Json | undefined = document.value
  for (const name of pointer) schema = mapAt(schema)[name]
  return textAt(mapAt(schema), '$id') ?? textAt(mapAt(schema), 'id')
}

function readEvent(
  context: ReadContext,
  name: string,
  value: JsonObject,
  targets: Map<string, SchemaTarget>,
): EventDefinition {
  const path = ['events', name]
  const read = readSchema(context, value.schema, [...path, 'schema'], name)
  if (read) targets.set(name, read.target)
  return present({
    name,
    channel: textAt(value, 'channel') ?? '',
    purpose: textAt(value, 'purpose') ?? '',
    schema: read?.schema ?? true,
    schemaFile: schemaFile(read),
    schemaId: schemaId(read),
    examples: readExamples(context, value.examples, [...path, 'examples'], {
      name,
      schema: read?.schema,
    }),
    deprecated: readDeprecation(value),
  }) as EventDefinition
}

function readCommand(
  context: ReadContext,
  name: string,
  value: JsonObject,
  targets: Map<string, SchemaTarget>,
): CommandDefinition {
  const path = ['commands', name]
  const read = readSchema(context, value.schema, [...path, 'schema'], name)
  if (read) targets.set(name, read.target)
  const replyPath = [...path, 'reply']
  const reply =
    value.reply === undefined
      ? undefined
      : readSchema(context, value.reply, replyPath, `${name}.reply`)
  const errors: Record<string, JsonSchema> = tableOf([])
  for (const [error, schema] of Object.entries(mapAt(value, 'errors'))) {
    const found = readSchema(context, schema, [...path, 'errors', error], `${name}.${error}`)
    if (found) errors[error] = found.schema
  }
  return present({
    name,
    channel: textAt(value, 'channel') ?? '',
    purpose: textAt(value, 'purpose') ?? '',
    schema: read?.schema ?? true,
    schemaFile: schemaFile(read),
    schemaId: schemaId(read),
    reply: reply?.schema,
    errors,
    timeoutMs: durationAt(value, 'timeout') ?? commandTimeoutMsDefault,
    handler: textAt(value, 'handler') ?? '',
    examples: readExamples(context, value.examples, [...path, 'examples'], {
      name,
      schema: read?.schema,
    }),
    deprecated: readDeprecation(value),
  }) as CommandDefinition
}

function readProducer(name: string, value: JsonObject): Producer {
  const events = value.events === undefined ? undefined : textsAt(value, 'events')
  const onInvalid = choiceAt<Producer['onInvalid']>(value, 'onInvalid', 'reject')
  return present({ name, onInvalid, events }) as Producer
}

function readSla(value: JsonObject): Sla {
  const sla = mapAt(value, 'sla')
  const latency = mapAt(sla, 'latency')
  const availability = mapAt(sla, 'availability')
  const percentile = numberAt(latency, 'percentile')
  const withinMs = durationAt(latency, 'within')
  const target = percentAt(availability, 'target')
  const windowMs = durationAt(availability, 'window')
  return present({
    delivery: textAt(sla, 'delivery'),
    mechanism: textAt(sla, 'mechanism'),
    latency:
      percentile === undefined || withinMs === undefined ? undefined : { percentile, withinMs },
    availability: target === undefined || windowMs === undefined ? undefined : { target, windowMs },
  }) as Sla
}

function readUpcasts(evolution: JsonObject): Upcast[] {
  return listAt(evolution, 'upcast').map((item) => {
    const upcast = mapAt(item)
    return {
      event: textAt(upcast, 'event') ?? '',
      from: textAt(upcast, 'from') ?? '',
      to: textAt(upcast, 'to') ?? '',
      jsonata: textAt(upcast, 'jsonata') ?? '',
    }
  })
}

function readWaiver(value: JsonObject): Waiver {
  return present({
    rule: textAt(value, 'rule') ?? '',
    at: textAt(value, 'at'),
    reason: textAt(value, 'reason') ?? '',
    approvedBy: textAt(value, 'approvedBy') ?? '',
    expires: textAt(value, 'expires') ?? '',
  }) as Waiver
}

function readReview(value: JsonObject): Review {
  return {
    consumer: textAt(value, 'consumer') ?? '',
    by: textAt(value, 'by') ?? '',
    at: textAt(value, 'at') ?? '',
    digest: textAt(value, 'digest') ?? '',
  }
}

function recordOf<T>(
  entries: readonly [string, JsonObject][],
  read: (name: string, value: JsonObject) => T,
): Record<string, T> {
  return tableOf(entries.map(([name, value]) => [name, read(name, value)]))
}

/**
 * Turns a checked value into the model: defaults filled in, durations in milliseconds, schemas and examples loaded.
 * Lenient, so that the rules after it can report everything else; `context.isIncomplete` says when the result must not be used.
 */
export function readContract(context: ReadContext, value: JsonObject, file?: string): ReadResult {
  const targets = new Map<string, SchemaTarget>()
  const channels = recordOf(entriesAt(value, 'channels'), readChannel)
  const events = recordOf(entriesAt(value, 'events'), (name, entry) =>
    readEvent(context, name, entry, targets),
  )
  const commands = recordOf(entriesAt(value, 'commands'), (name, entry) =>
    readCommand(context, name, entry, targets),
  )
  const evolution = mapAt(value, 'evolution')
  const gate = mapAt(value, 'gate')
  const consumers: Record<string, Consumer> = recordOf(
    entriesAt(value, 'consumers'),
    (name, entry) => readConsumer(context, name, entry, { channels, events }),
  )
  const contract = present({
    id: textAt(value, 'id') ?? '',
    version: textAt(value, 'version') ?? '0.0.0',
    status: choiceAt<Contract['status']>(value, 'status', 'active'),
    purpose: textAt(value, 'purpose') ?? '',
    design: textAt(value, 'design'),
    owner: readOwner(value),
    pattern: readPattern(value.pattern),
    envelope: readEnvelope(value),
    channels,
    events,
    commands,
    evolution: {
      policy: choiceAt<Contract['evolution']['policy']>(evolution, 'policy', 'evolvable'),
      mode: choiceAt(evolution, 'mode', 'full-transitive'),
      upcast: readUpcasts(evolution),
    },
    producers: recordOf(entriesAt(value, 'producers'), readProducer),
    consumers,
    sla: readSla(value),
    gate: {
      block: gate.block === undefined ? [...gateBlockDefault] : textsAt(gate, 'block'),
      waivers: listAt(gate, 'waivers').map((waiver) => readWaiver(mapAt(waiver))),
    },
    reviews: listAt(value, 'reviews').map((review) => readReview(mapAt(review))),
    file,
  }) as Contract
  return { contract, targets }
}
