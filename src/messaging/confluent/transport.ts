import type { Contract } from '../../contracts/index.ts'
import { type Clock, delay } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type {
  Delivery,
  DeliverySink,
  OutgoingRecord,
  Page,
  PublishResult,
  StoredMessage,
  SubscriptionSpec,
  Transport,
  TransportSubscription,
} from '../transport.ts'
import { frame, unframe } from './frame.ts'
import { createSchemaIds, type SchemaIds, type SchemaRegistryOptions } from './schema-ids.ts'

/** How messages carry the id of their schema, for programs that use a Confluent Schema Registry. */
export interface ConfluentWireOptions extends SchemaRegistryOptions {
  /**
   * Under which subject a schema stands: `topic` (`<address>-value`, for channels with one message type; default), `record`
   * (the message type), `topic-record` (`<address>-<message type>`).
   */
  readonly subject?: 'topic' | 'record' | 'topic-record'
  /** A schema that the registry does not have is registered. Default true; false: publishing it fails. */
  readonly register?: boolean
}

interface Codec {
  readonly options: ConfluentWireOptions
  readonly ids: SchemaIds
  readonly clock: Clock
  /** Message types of channels that carry frames: address → type → schema of the data. */
  readonly schemas: ReadonlyMap<string, ReadonlyMap<string, Json>>
}

const pauseMsMin = 200
const pauseMsMax = 10_000

/**
 * A transport whose messages carry the id of their schema in the Confluent wire format, on every channel of the contracts with the
 * envelope `none`. Frames of others are read whatever program wrote them; bytes without a frame pass as they are. An id that
 * the registry does not know makes a dead letter (SCHEMA_ID_UNKNOWN) with the original bytes; while the registry does not
 * answer, deliveries wait.
 */
export function withConfluentWire(
  inner: Transport,
  contracts: readonly Contract[],
  options: ConfluentWireOptions & { readonly clock: Clock },
): Transport {
  const codec: Codec = {
    options,
    ids: createSchemaIds(options),
    clock: options.clock,
    schemas: schemasOf(contracts),
  }
  const own: Partial<Transport> = {
    publish: (records, signal) => publish(inner, codec, { records, signal }),
    subscribe: (spec, sink) => subscribe(inner, codec, { spec, sink }),
    ...(inner.browse === undefined
      ? {}
      : { browse: async (query) => opened(codec, await inner.browse?.(query)) }),
  }
  // A proxy, because the port has optional members and transports may be objects of a class.
  return new Proxy(inner, {
    get(target, name) {
      const value = own[name as keyof Transport] ?? Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** What is looked at later: without frames, and without asking the registry, whose word is not needed to read. */
function opened(codec: Codec, page: Page<StoredMessage> = { items: [] }): Page<StoredMessage> {
  const items = page.items.map((item) => {
    const { record } = item
    const framed = codec.schemas.has(record.address) ? unframe(record.body) : undefined
    return framed === undefined ? item : { ...item, record: { ...record, body: framed.body } }
  })
  return { ...page, items }
}

function schemasOf(contracts: readonly Contract[]): Map<string, Map<string, Json>> {
  const schemas = new Map<string, Map<string, Json>>()
  for (const contract of contracts.filter(({ envelope }) => envelope === 'none')) {
    for (const { name, channel, schema } of [
      ...Object.values(contract.events),
      ...Object.values(contract.commands),
    ]) {
      const address = contract.channels[channel]?.address ?? channel
      const known = schemas.get(address) ?? new Map<string, Json>()
      schemas.set(address, known.set(name, schema as Json))
    }
  }
  return schemas
}

function subjectOf({ options }: Codec, address: string, type: string): string {
  const { subject = 'topic' } = options
  if (subject === 'record') return type
  return subject === 'topic' ? `${address}-value` : `${address}-${type}`
}

async function publish(
  inner: Transport,
  codec: Codec,
  { records, signal }: { records: readonly OutgoingRecord[]; signal: AbortSignal | undefined },
): Promise<PublishResult[]> {
  const framed = await Promise.all(records.map((record) => framedOrError(codec, record)))
  const good = framed.filter((each): each is OutgoingRecord => !isTreatyError(each))
  const results = good.length === 0 ? [] : await inner.publish(good, signal)
  let next = 0
  return framed.map((each) => {
    if (isTreatyError(each)) return { error: each }
    next += 1
    return results[next - 1] as PublishResult
  })
}

async function framedOrError(
  codec: Codec,
  record: OutgoingRecord,
): Promise<OutgoingRecord | TreatyError> {
  const { address, type, body } = record
  const schema = codec.schemas.get(address)?.get(type)
  if (schema === undefined || unframe(body) !== undefined) return record
  const { register = true } = codec.options
  try {
    const schemaId = await codec.ids.idOf(subjectOf(codec, address, type), schema, { register })
    return { ...record, body: frame({ schemaId, body }) }
  } catch (error) {
    return isTreatyError(error) ? error : new TreatyError('TRANSPORT_FAILED', errorMessage(error))
  }
}

async function subscribe(
  inner: Transport,
  codec: Codec,
  { spec, sink }: { spec: SubscriptionSpec; sink: DeliverySink },
): Promise<TransportSubscription> {
  let before = Promise.resolve()
  let subscription: TransportSubscription | undefined
  let isStopped = false

  /** Frames are opened in the order of arrival: a later batch must not overtake one that waits for the registry. */
  async function open(deliveries: readonly Delivery[]): Promise<void> {
    for (const delivery of deliveries) {
      const opened = await untilKnown(codec, delivery, () => isStopped)
      if (opened === 'unknown') {
        const failure = { reason: 'SCHEMA_ID_UNKNOWN', message: unknownText(delivery) }
        void inner.settle([{ outcome: 'dead', delivery, failure }])
        subscription?.grant(1)
      } else sink([opened])
    }
  }

  subscription = await inner.subscribe(spec, (deliveries) => {
    before = before.then(() => open(deliveries))
  })
  const { stop } = subscription
  return Object.assign(subscription, {
    stop: async () => {
      isStopped = true
      await stop.call(subscription)
      await before
    },
  })
}

function unknownText({ record }: Delivery): string {
  return `the schema registry knows no schema of the id ${unframe(record.body)?.schemaId}`
}

async function untilKnown(
  codec: Codec,
  delivery: Delivery,
  isStopped: () => boolean,
): Promise<Delivery | 'unknown'> {
  const { record } = delivery
  const framed = codec.schemas.has(record.address) ? unframe(record.body) : undefined
  if (framed === undefined) return delivery
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMsMax, pauseMs * 2)) {
    try {
      const subjects = await codec.ids.subjectsOf(framed.schemaId)
      if (subjects === undefined) return 'unknown'
      const type = record.type || typeUnder(codec, record.address, subjects)
      return { ...delivery, record: { ...record, type, body: framed.body } }
    } catch {
      // It goes back unread when nobody wants it any more; the transport gives it to the next.
      if (isStopped()) return delivery
      await delay(codec.clock, pauseMs)
    }
  }
}

/** The message type that one of these subjects stands for; empty: none that the contracts know. */
function typeUnder(codec: Codec, address: string, subjects: readonly string[]): string {
  const types = [...(codec.schemas.get(address)?.keys() ?? [])]
  const named = types.find(
    (type) => subjects.includes(type) || subjects.includes(`${address}-${type}`),
  )
  return named ?? (types.length === 1 ? (types[0] as string) : '')
}
