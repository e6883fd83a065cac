import { hash } from 'node:crypto'
import type { Contract, MessageValidator } from '../../contracts/index.ts'
import { createMessageValidator, encodeEnvelope, parseJson } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { createTimestampSource, uuidFromDigest } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { Bus } from '../../messaging/index.ts'
import type { Store } from '../../store/index.ts'
import type { InboundDelivery } from './delivery.ts'
import { keepReceived, receivedHeader, receivedPlace } from './received-bytes.ts'
import type { Source } from './source.ts'

/** What became of a delivery that was verified. */
export type Stored =
  | { readonly outcome: 'published'; readonly event: string; readonly messageId: string }
  | {
      readonly outcome: 'quarantined'
      readonly deadLetter: string
      readonly findings: readonly Finding[]
    }
  | { readonly outcome: 'refused'; readonly findings: readonly Finding[] }
  | { readonly outcome: 'ignored' }

/** Turns deliveries into what the bus keeps. */
export interface Publisher {
  /** Resolves once the bus has it durably, as an event or as a dead letter. @throws what the bus throws of itself */
  store(source: Source, delivery: InboundDelivery): Promise<Stored>
  /** The same for a delivery that is kept already: what still makes no valid event is `refused`, and nothing is written. */
  again(source: Source, delivery: InboundDelivery): Promise<Stored>
}

/** Header of a dead letter: the source whose delivery it was, where the provider's own bytes are kept with it or beside it. */
export const sourceHeader = 'treaty-webhook-source'
/** Header of a message and of its dead letters: the provider's id of the delivery, percent-encoded where it is not ASCII. */
export const idHeader = 'treaty-webhook-id'

/** Turns deliveries into events of contracts. */
export function createPublisher(bus: Bus, store: Store, clock: Clock): Publisher {
  return new EventPublisher(bus, store, clock)
}

interface Incoming {
  readonly source: Source
  readonly delivery: InboundDelivery
}

/** A class because every step needs bus, clock and stamps. */
class EventPublisher implements Publisher {
  readonly #bus: Bus
  readonly #store: Store
  readonly #clock: Clock
  readonly #nextTimestamp: () => string
  #validator: MessageValidator | undefined

  constructor(bus: Bus, store: Store, clock: Clock) {
    this.#bus = bus
    this.#store = store
    this.#clock = clock
    this.#nextTimestamp = createTimestampSource(clock)
  }

  async store(source: Source, delivery: InboundDelivery): Promise<Stored> {
    const event = chosenEvent(source, delivery)
    if (event === undefined) return { outcome: 'ignored' }
    const incoming = { source, delivery }
    if (typeof event !== 'string') return this.#quarantine(incoming, source.name, event.findings)
    const made = this.#make(incoming, event)
    if (source.onInvalid === 'reject') {
      const findings = this.#refusal(incoming, event, made)
      if (findings.length > 0) return { outcome: 'refused', findings }
    }
    if ('findings' in made) return this.#quarantine(incoming, event, made.findings)
    return this.#ingest(incoming, event, made)
  }

  async again(source: Source, delivery: InboundDelivery): Promise<Stored> {
    const event = chosenEvent(source, delivery)
    if (event === undefined) return { outcome: 'ignored' }
    if (typeof event !== 'string') return { outcome: 'refused', findings: event.findings }
    const incoming = { source, delivery }
    const made = this.#make(incoming, event)
    const findings = this.#refusal(incoming, event, made)
    if ('findings' in made || findings.length > 0) return { outcome: 'refused', findings }
    return this.#ingest(incoming, event, made)
  }

  async #ingest({ source, delivery }: Incoming, event: string, made: Bytes): Promise<Stored> {
    const id = messageIdOf(delivery)
    // Where the bus gets bytes of ours, those of the provider are kept beside them, before anybody is answered.
    const isMade = made.bytes !== delivery.rawBody
    const keeps = isMade && source.keepBytes !== false
    const headers = {
      ...delivery.headers,
      ...made.headers,
      [idHeader]: headerText(delivery.id),
      ...(keeps || !isMade ? { [sourceHeader]: source.name } : {}),
      ...(keeps ? { [receivedHeader]: receivedPlace(delivery, id) } : {}),
    }
    const options = { source: source.as ?? source.name, headers, id }
    const [result] = await Promise.all([
      this.#bus.withCorrelation(correlationOf(delivery, id), () =>
        this.#bus.ingest(event, made.bytes, options),
      ),
      keeps ? keepReceived(this.#store, delivery, id) : undefined,
    ])
    if (result.deadLetter === undefined)
      return { outcome: 'published', event, messageId: result.id }
    return {
      outcome: 'quarantined',
      deadLetter: result.deadLetter,
      findings: result.findings ?? [],
    }
  }

  /** The bytes that the bus is given, or why there are none. */
  #make(incoming: Incoming, event: string): Made {
    const { source, delivery } = incoming
    const contract = this.#contractOf(event)
    if (!contract) return failed('UNKNOWN_EVENT', `no loaded contract has the event "${event}"`)
    if (!source.map && contract.envelope === 'none') {
      return { bytes: delivery.rawBody, headers: {}, contract }
    }
    const made = dataOf(source, delivery)
    if ('findings' in made) return made
    if (contract.envelope === 'none') {
      return { bytes: Buffer.from(JSON.stringify(made.data)), headers: {}, contract }
    }
    const { traceparent } = delivery.headers
    const message = {
      ...this.#messageOf(incoming, event, made.data),
      metadata: {
        schema_version: contract.version,
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    }
    const wire = encodeEnvelope(message, contract.envelope)
    const headers = { ...wire.headers, 'content-type': wire.contentType }
    return { bytes: wire.body, headers, contract, data: made.data }
  }

  #messageOf({ source, delivery }: Incoming, event: string, data: unknown) {
    const id = messageIdOf(delivery)
    return {
      id,
      type: event,
      source: source.as ?? source.name,
      timestamp: this.#nextTimestamp(),
      correlation_id: correlationOf(delivery, id),
      data: data as Json,
    }
  }

  /** With `onInvalid: reject` nothing may be kept, so it is judged before the bus sees it. */
  #refusal(incoming: Incoming, event: string, made: Made): readonly Finding[] {
    if ('findings' in made) return made.findings
    this.#validator ??= createMessageValidator({ contracts: this.#bus.contracts, view: 'reader' })
    const judge = this.#validator.forEvent(event)
    const parsed = 'data' in made ? { value: made.data } : parsedBytes(made.bytes)
    if ('finding' in parsed) return [parsed.finding]
    const message = this.#messageOf(incoming, event, parsed.value)
    return judge && !judge.check(message) ? judge.findings(message) : []
  }

  #contractOf(event: string): Contract | undefined {
    return this.#bus.contracts.find(({ events }) => Object.hasOwn(events, event))
  }

  /** Keeps the provider's own bytes and headers, where no event could be made of them. */
  async #quarantine(
    { source, delivery }: Incoming,
    event: string,
    findings: readonly Finding[],
  ): Promise<Stored> {
    const contract = this.#contractOf(event)
    const channel = contract?.channels[contract.events[event]?.channel ?? '']
    const at = this.#clock.now()
    const deadLetter = await this.#bus.transport.dead.put({
      messageId: messageIdOf(delivery),
      event,
      consumer: null,
      group: null,
      reason: findings[0]?.code === 'UNKNOWN_EVENT' ? 'UNKNOWN_EVENT' : 'WEBHOOK_UNMAPPED',
      message: `refused at ingest: ${findings[0]?.message ?? 'no reason was given'}`,
      findings,
      contract: contract?.id ?? '',
      contractVersion: contract?.version ?? '',
      attempts: 0,
      firstFailedAt: at,
      failedAt: at,
      address: channel?.address ?? '',
      body: delivery.rawBody,
      headers: {
        ...delivery.headers,
        'treaty-source': source.as ?? source.name,
        [sourceHeader]: source.name,
        [idHeader]: headerText(delivery.id),
      },
      contentType: delivery.headers['content-type'] ?? 'application/octet-stream',
    })
    return { outcome: 'quarantined', deadLetter, findings }
  }
}

interface Bytes {
  readonly bytes: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly contract: Contract
  /** Before it was put into an envelope. */
  readonly data?: unknown
}
type Made = Bytes | { readonly findings: readonly Finding[] }

/** One id for the same delivery of the same source, in each retry and in each process; of another source, another. */
export function messageIdOf({ source, id }: Pick<InboundDelivery, 'source' | 'id'>): string {
  return uuidFromDigest(hash('sha256', `webhook\n${source}\n${id}`, 'buffer'))
}

/** The provider's id where it is a UUID, so that both sides find the same; else the message's. */
function correlationOf(delivery: InboundDelivery, messageId: string): string {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(delivery.id)
  return isUuid ? delivery.id : messageId
}

function parsedBytes(bytes: Uint8Array) {
  return parseJson(Buffer.from(bytes).toString('utf8'))
}

function headerText(id: string): string {
  return /^[\x20-\x24\x26-\x7e]*$/.test(id) ? id : encodeURIComponent(id)
}

function chosenEvent(
  { event }: Source,
  delivery: InboundDelivery,
): string | undefined | { readonly findings: readonly Finding[] } {
  if (typeof event !== 'function') return event
  try {
    return event(delivery)
  } catch (error) {
    return failed('WEBHOOK_UNMAPPED', `no event could be chosen: ${errorMessage(error)}`)
  }
}

function dataOf(
  { map }: Source,
  delivery: InboundDelivery,
): { readonly data: unknown } | { readonly findings: readonly Finding[] } {
  try {
    if (map) return { data: map(delivery) }
  } catch (error) {
    if (isTreatyError(error) && error.findings.length > 0) return { findings: error.findings }
    return failed('WEBHOOK_UNMAPPED', `the delivery could not be mapped: ${errorMessage(error)}`)
  }
  if (delivery.json !== undefined) return { data: delivery.json }
  const parsed = parseJson(Buffer.from(delivery.rawBody).toString('utf8'))
  return 'finding' in parsed ? { findings: [parsed.finding] } : { data: parsed.value }
}

function failed(code: string, message: string): { readonly findings: readonly Finding[] } {
  return { findings: [{ code, severity: 'error', message }] }
}
