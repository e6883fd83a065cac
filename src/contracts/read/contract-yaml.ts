import { Document, isScalar, visit } from 'yaml'
import { formatDuration } from '../../core/duration.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Channel, CommandDefinition, Consumer, Contract, EventDefinition } from '../model.ts'
import { namedSchema } from '../schema/schema-name.ts'
import { present } from './contract-reader.ts'

/** A record without empty maps and lists, whose absence says the same. */
function filled(record: Record<string, unknown>): Record<string, Json> {
  const entries = Object.entries(present(record)).filter(([, value]) => {
    if (Array.isArray(value)) return value.length > 0
    return !isJsonObject(value) || Object.keys(value).length > 0
  })
  return Object.fromEntries(entries) as Record<string, Json>
}

function mapValues<T>(
  record: Readonly<Record<string, T>>,
  change: (value: T) => unknown,
): JsonObject {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, change(value) as Json]),
  )
}

function duration(durationMs: number | undefined): string | undefined {
  return durationMs === undefined ? undefined : formatDuration(durationMs)
}

function channel({ address, key, ordering, retentionMs, shared, bindings }: Channel): JsonObject {
  return filled({ address, key, ordering, retention: duration(retentionMs), shared, bindings })
}

function event({
  channel: on,
  purpose,
  schema,
  schemaId,
  examples,
  deprecated,
}: EventDefinition): JsonObject {
  return {
    ...filled({ channel: on, purpose, deprecated }),
    schema: namedSchema(schema, schemaId),
    ...filled({ examples: examples.map(({ value }) => value) }),
  }
}

function command(definition: CommandDefinition): JsonObject {
  const { channel: on, purpose, schema, reply, errors, timeoutMs, handler } = definition
  return {
    ...filled({
      channel: on,
      purpose: purpose === '' ? undefined : purpose,
      handler,
      timeout: formatDuration(timeoutMs),
      deprecated: definition.deprecated,
    }),
    schema: namedSchema(schema, definition.schemaId),
    ...(reply === undefined ? {} : { reply }),
    ...filled({ errors: { ...errors }, examples: definition.examples.map(({ value }) => value) }),
  }
}

function consumerSla(sla: JsonObject): JsonObject {
  const processing = isJsonObject(sla.processing) ? sla.processing : {}
  const lag = isJsonObject(sla.lag) ? sla.lag : {}
  return filled({
    processing: Object.fromEntries(
      Object.entries(processing).map(([name, value]) => [
        name.replace(/Ms$/, ''),
        formatDuration(Number(value)),
      ]),
    ),
    lag: typeof lag.maxMs === 'number' ? { max: formatDuration(lag.maxMs) } : {},
  })
}

function consumer(entry: Consumer): JsonObject {
  const { retry, deadLetter, idempotency } = entry
  return {
    ...filled({
      kind: entry.kind === 'service' ? undefined : entry.kind,
      owner: entry.owner,
      accepts: entry.accepts,
      since: entry.since,
    }),
    events: mapValues(entry.events, ({ needs, needsSchema, handling }) => ({
      ...(needsSchema === undefined ? filled({ needs }) : { needs: needsSchema }),
      ...filled({ handling }),
    })),
    ...filled({
      start: entry.start === 'earliest' ? undefined : entry.start,
      idempotency: idempotency && {
        key: idempotency.key,
        window: formatDuration(idempotency.windowMs),
      },
      retry: {
        attempts: retry.attempts,
        base: formatDuration(retry.baseMs),
        factor: retry.factor,
        cap: formatDuration(retry.capMs),
        jitter: retry.jitter,
      },
      deadLetter: filled({
        address: deadLetter.address,
        retention: formatDuration(deadLetter.retentionMs),
        owner: deadLetter.owner,
        onDead: deadLetter.onDead,
        onExpired: deadLetter.onExpired,
      }),
      sla: entry.sla && consumerSla(entry.sla),
      pending: entry.pending ? true : undefined,
    }),
  }
}

/**
 * The contract in the shape of its file, self-contained: schemas and examples in place, defaults written out.
 * Loading it again gives the same contract, but for the names of files.
 */
export function contractToSource(contract: Contract): JsonObject {
  const { sla } = contract
  return {
    treaty: 1,
    id: contract.id,
    version: contract.version,
    status: contract.status,
    purpose: contract.purpose,
    ...filled({ design: contract.design, owner: contract.owner }),
    pattern: { ...contract.pattern },
    envelope: contract.envelope,
    channels: mapValues(contract.channels, channel),
    ...filled({
      events: mapValues(contract.events, event),
      commands: mapValues(contract.commands, command),
    }),
    evolution: filled({ ...contract.evolution }),
    producers: mapValues(contract.producers, ({ onInvalid, events }) =>
      present({ onInvalid, events: events && [...events] }),
    ),
    ...filled({
      consumers: mapValues(contract.consumers, consumer),
      sla: filled({
        delivery: sla.delivery,
        mechanism: sla.mechanism,
        latency: sla.latency && {
          percentile: sla.latency.percentile,
          within: formatDuration(sla.latency.withinMs),
        },
        availability: sla.availability && {
          target: `${sla.availability.target}%`,
          window: formatDuration(sla.availability.windowMs),
        },
      }),
    }),
    gate: {
      block: [...contract.gate.block],
      ...filled({ waivers: contract.gate.waivers as unknown as Json }),
    },
    ...filled({ reviews: contract.reviews as unknown as Json }),
  }
}

/** {@link contractToSource} as YAML text. */
export function contractToYaml(contract: Contract): string {
  const document = new Document(contractToSource(contract), { aliasDuplicateObjects: false })
  visit(document, {
    Pair(_, { key }) {
      // Unquoted it would be read as a merge key.
      if (isScalar(key) && key.value === '<<') key.type = 'QUOTE_DOUBLE'
    },
  })
  return document.toString({ lineWidth: 100 })
}
