import { createHash } from 'node:crypto'
import type { Contract, MessageValidator } from '../../contracts/index.ts'
import { createMessageValidator, encodeEnvelope, parseJson } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { createTimestampSource, uuidFromDigest } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { Bus } from '../../messaging/index.ts'
import type { InboundDelivery } from './delivery.ts'
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

export interface Publisher {
  /** Resolves once the bus has it durably, as an event or as a dead letter. @throws what the bus throws of itself */
  store(source: Source, delivery: InboundDelivery): Promise<Stored>
}

/** Turns deliveries into events of contracts. */
export function createPublisher(bus: Bus, clock: Clock): Publisher {
  const nextTimestamp = createTimestampSource(clock)
  let validator: MessageValidator | undefined
  const contractOf = (event: string) =>
    bus.contracts.find((contract) => Object.hasOwn(contract.events, event))

  /** The bytes that the bus is given, or why there are none. */
  function bytesOf(source: Source, delivery: InboundDelivery, event: string): Made {
    const contract = contractOf(event)
    if (!contract) return failed('UNKNOWN_EVENT', `no loaded contract has the event "${event}"`)
    if (!source.map && contract.envelope === 'none') {
      return { bytes: delivery.rawBody, headers: {}, contract }
    }
    const made = dataOf(source, delivery)
    if ('findings' in made) return made
    if (contract.envelope === 'none') {
      return { bytes: Buffer.from(JSON.stringify(made.data)), headers: {}, contract }
    }
    const message = messageOf(event, contract, { source, delivery, data: made.data })
    const wire = encodeEnvelope(message, contract.envelope)
    const headers = { ...wire.headers, 'content-type': wire.contentType }
    return { bytes: wire.body, headers, contract, data: made.data }
  }

  function messageOf(
    event: string,
    contract: Contract,
    { source, delivery, data }: { source: Source; delivery: InboundDelivery; data: unknown },
  ) {
    const { traceparent } = delivery.headers
    return {
      id: messageIdOf(delivery),
      type: event,
      source: source.as ?? source.name,
      timestamp: nextTimestamp(),
      correlation_id: correlationOf(delivery),
      data,
      metadata: {
        schema_version: contract.version,
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    }
  }

  /** With `onInvalid: reject` nothing may be kept, so it is judged before the bus sees it. */
  function refusalOf(
    { source, delivery }: { source: Source; delivery: InboundDelivery },
    event: string,
    made: Made,
  ): readonly Finding[] {
    if ('findings' in made) return made.findings
    validator ??= createMessageValidator({ contracts: bus.contracts, view: 'reader' })
    const judge = validator.forEvent(event)
    const parsed = 'data' in made ? { value: made.data } : parsedBytes(made.bytes)
    if ('finding' in parsed) return [parsed.finding]
    const message = {
      id: messageIdOf(delivery),
      type: event,
      source: source.as ?? source.name,
      timestamp: nextTimestamp(),
      correlation_id: correlationOf(delivery),
      data: parsed.value as Json,
    }
    return judge && !judge.check(message) ? judge.findings(message) : []
  }

  return {
    async store(source, delivery) {
      const choice = chosenEvent(source, delivery)
      if (typeof choice !== 'string') {
        if (choice === undefined) return { outcome: 'ignored' }
        return quarantine(bus, {
          source,
          delivery,
          event: source.name,
          findings: choice.findings,
          at: clock.now(),
        })
      }
      const made = bytesOf(source, delivery, choice)
      if (source.onInvalid === 'reject') {
        const findings = refusalOf({ source, delivery }, choice, made)
        if (findings.length > 0) return { outcome: 'refused', findings }
      }
      if ('findings' in made) {
        return quarantine(bus, {
          source,
          delivery,
          event: choice,
          findings: made.findings,
          at: clock.now(),
        })
      }
      const id = messageIdOf(delivery)
      const headers = {
        ...delivery.headers,
        ...made.headers,
        'treaty-webhook-id': headerText(delivery.id),
      }
      const result = await bus.withCorrelation(correlationOf(delivery), () =>
        bus.ingest(choice, made.bytes, { source: source.as ?? source.name, headers, id }),
      )
      if (result.deadLetter === undefined) {
        return { outcome: 'published', event: choice, messageId: result.id }
      }
      const { deadLetter, findings = [] } = result
      return { outcome: 'quarantined', deadLetter, findings }
    },
  }
}

type Made =
  | {
      readonly bytes: Uint8Array
      readonly headers: Readonly<Record<string, string>>
      readonly contract: Contract
      /** Before it was put into an envelope. */
      readonly data?: unknown
    }
  | { readonly findings: readonly Finding[] }

/** One id for the same delivery of the same source, in each retry and in each process; of another source, another. */
export function messageIdOf({ source, id }: Pick<InboundDelivery, 'source' | 'id'>): string {
  return uuidFromDigest(createHash('sha256').update(`webhook\n${source}\n${id}`).digest())
}

/** The provider's id where it is a UUID, so that both sides find the same; else the message's. */
function correlationOf(delivery: InboundDelivery): string {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(delivery.id)
  return isUuid ? delivery.id : messageIdOf(delivery)
}

function parsedBytes(bytes: Uint8Array) {
  return parseJson(Buffer.from(bytes).toString('utf8'))
}

function headerText(id: string): string {
  return /^[\x20-\x7e]*$/.test(id) ? id : encodeURIComponent(id)
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

/** Keeps the provider's own bytes and headers, where no event could be made of them. */
async function quarantine(
  bus: Bus,
  letter: {
    source: Source
    delivery: InboundDelivery
    event: string
    findings: readonly Finding[]
    at: number
  },
): Promise<Stored> {
  const { source, delivery, event, findings, at } = letter
  const contract = bus.contracts.find(({ events }) => Object.hasOwn(events, event))
  if (bus.contracts.length === 0) {
    throw new TreatyError('CONTRACT_NOT_FOUND', 'the bus has no contracts')
  }
  const channel = contract?.channels[contract.events[event]?.channel ?? '']
  const deadLetter = await bus.transport.dead.put({
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
    headers: { ...delivery.headers, 'treaty-source': source.as ?? source.name },
    contentType: delivery.headers['content-type'] ?? 'application/octet-stream',
  })
  return { outcome: 'quarantined', deadLetter, findings }
}
