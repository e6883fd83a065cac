import type { EventValidator, MessageValidator } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Catalogue } from '../catalogue.ts'
import type { MadeRecord } from '../outbox/index.ts'
import type { OutgoingRecord, Transport } from '../transport.ts'
import type { Published, PublishOptions } from '../types.ts'
import type { OutgoingFactory, OutgoingSpec } from './outgoing.ts'
import { producerOf } from './producers.ts'
import type { Sender, Sent } from './sender.ts'

export interface PublishingOptions {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly producerView: MessageValidator
  /** The producer that the process speaks for. */
  readonly service: string | undefined
  readonly clock: Clock
  readonly factory: OutgoingFactory
  readonly sender: Sender
  readonly nextId: () => string
}

interface KnownSpec {
  readonly spec: OutgoingSpec
  /** Epoch milliseconds from which it may not be published; mostly never. */
  readonly sunsetAt: number
}

/** What goes out: judged by the producer view, made into a record, sent. What an event needs is looked up once. */
export class Publishing {
  readonly #options: PublishingOptions
  readonly #specs = new Map<string, KnownSpec>()

  constructor(options: PublishingOptions) {
    this.#options = options
  }

  /** Also while the bus drains: a handler that is still at work may finish it. `fallbackSource`: the producer where the contract leaves it open. */
  publish(
    event: string,
    data: unknown,
    options: PublishOptions = {},
    fallbackSource?: string,
  ): Promise<Published> {
    try {
      // Into the sender's hands before anything is awaited: messages go out in the order of the calls.
      const outgoing = this.#make(event, data, options, fallbackSource)
      return outgoing instanceof Promise ? outgoing : this.#options.sender.send(outgoing)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Each on its own, and all in one promise. Rejects only with what is no error of ours. */
  async publishMany(
    messages: readonly ({ event: string; data: unknown } & PublishOptions)[],
  ): Promise<(Published | { error: TreatyError })[]> {
    const records: OutgoingRecord[] = []
    const refused = new Map<number, { error: unknown } | Promise<{ error: unknown }>>()
    for (const [at, { event, data, ...options }] of messages.entries()) {
      try {
        const made = this.#make(event, data, options)
        if (made instanceof Promise)
          refused.set(
            at,
            made.catch((error: unknown) => ({ error })),
          )
        else records.push(made)
      } catch (error) {
        refused.set(at, { error })
      }
    }
    const sent = await this.#options.sender.sendAll(records)
    const results: (Published | { error: TreatyError })[] = []
    let next = 0
    for (let at = 0; at < messages.length; at += 1) {
      const refusal = refused.size === 0 ? undefined : await refused.get(at)
      const result = refusal ?? (sent[next] as Sent)
      if (refusal === undefined) next += 1
      if (!('error' in result)) results.push(result)
      else if (isTreatyError(result.error)) results.push({ error: result.error })
      else throw result.error
    }
    return results
  }

  /** A record that is valid and not yet sent. @throws SCHEMA_MISMATCH and what else {@link publish} throws */
  made(event: string, data: unknown, options: PublishOptions): MadeRecord {
    const spec = this.#eventSpec(event)
    return {
      record: this.#options.factory.make(spec, data, options).record,
      contract: spec.contract,
    }
  }

  #make(
    event: string,
    data: unknown,
    options: PublishOptions,
    fallbackSource?: string,
  ): OutgoingRecord | Promise<never> {
    options.signal?.throwIfAborted()
    const spec = this.#eventSpec(event, fallbackSource)
    try {
      return this.#options.factory.make(spec, data, options).record
    } catch (error) {
      const producer = spec.contract.producers[spec.source]
      if (producer?.onInvalid !== 'dead-letter' || !isTreatyError(error)) throw error
      return this.#keepRefused({ spec, data, error })
    }
  }

  /** `onInvalid: dead-letter`: the caller still learns of it, and the data is kept. */
  async #keepRefused(refused: {
    spec: OutgoingSpec
    data: unknown
    error: TreatyError
  }): Promise<never> {
    const { spec, error } = refused
    const now = this.#options.clock.now()
    await this.#options.transport.dead.put({
      messageId: this.#options.nextId(),
      event: spec.type,
      consumer: null,
      group: null,
      reason: error.code,
      message: error.message,
      findings: error.findings,
      contract: spec.contract.id,
      contractVersion: spec.contract.version,
      attempts: 0,
      firstFailedAt: now,
      failedAt: now,
      address: spec.address,
      body: Buffer.from(JSON.stringify(refused.data) ?? 'null'),
      headers: { 'treaty-source': spec.source },
      contentType: 'application/json',
    })
    throw error
  }

  #eventSpec(event: string, fallbackSource?: string): OutgoingSpec {
    const name = fallbackSource === undefined ? event : `${event}\n${fallbackSource}`
    const cached = this.#specs.get(name)
    if (cached !== undefined) {
      const { spec, sunsetAt } = cached
      if (sunsetAt === Number.POSITIVE_INFINITY || this.#options.clock.now() < sunsetAt) return spec
    }
    const known = this.#options.catalogue.event(event)
    if (this.#options.clock.now() >= known.sunsetAt) {
      throw new TreatyError(
        'EVENT_RETIRED',
        `"${event}" may not be published since ${known.event.deprecated?.sunset}`,
        {
          hint: known.event.deprecated?.use
            ? `Publish "${known.event.deprecated.use}" instead.`
            : 'Ask the owner of the contract for its successor.',
          details: { event },
        },
      )
    }
    const spec: OutgoingSpec = {
      type: event,
      contract: known.contract,
      address: known.address,
      keyPath: known.keyPath,
      validator: needed(this.#options.producerView.forEvent(event), event),
      source: producerOf(known.contract, event, {
        service: this.#options.service,
        fallback: fallbackSource,
      }),
    }
    this.#specs.set(name, { spec, sunsetAt: known.sunsetAt })
    return spec
  }
}

/** @throws UNKNOWN_EVENT */
export function needed(validator: EventValidator | undefined, name: string): EventValidator {
  if (validator) return validator
  throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has "${name}"`)
}
