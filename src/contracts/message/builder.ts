import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { hasErrors } from '../../core/finding.ts'
import { createIdSource, createTimestampSource } from '../../core/ids.ts'
import { suggest } from '../did-you-mean.ts'
import type { Contract, ContractTypes } from '../model.ts'
import type { Message, Metadata, Priority } from './message.ts'
import type { EventValidator } from './message-validator.ts'
import { createMessageValidator } from './message-validator.ts'
import type { Profile } from './profiles.ts'

export interface MessageBuilderOptions {
  readonly contracts: readonly Contract[]
  /** Name of the producer that speaks. */
  readonly source: string
  readonly profile?: Profile
  readonly clock?: Pick<Clock, 'now'>
  /** Gives the ids; default UUIDs of version 7. */
  readonly newId?: () => string
}

export interface BuildOptions {
  /** Default: a new one, the message begins a correlation. */
  readonly correlationId?: string
  readonly causationId?: string
  /** Only for a message that was sent before and is sent again. */
  readonly id?: string
  readonly priority?: Priority
  /** Positive integer; counted from the message's timestamp. */
  readonly ttlSeconds?: number
  /** More metadata; the named options win. */
  readonly metadata?: Metadata
}

export interface MessageBuilder<C extends ContractTypes = ContractTypes> {
  /**
   * A valid message: fresh id, a UTC timestamp with six fraction digits later than that of the message before, `schema_version` of
   * the contract. Judged by the producer's view.
   *
   * @throws UNKNOWN_EVENT · SCHEMA_MISMATCH with every finding
   */
  build<E extends keyof C['events'] & string>(
    event: E,
    data: C['events'][E],
    options?: BuildOptions,
  ): Message<C['events'][E]>
}

function metadataOf(validator: EventValidator, options: BuildOptions): Metadata {
  return {
    schema_version: validator.contract.version,
    ...options.metadata,
    ...(options.causationId === undefined ? {} : { causation_id: options.causationId }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.ttlSeconds === undefined ? {} : { ttl_seconds: options.ttlSeconds }),
  }
}

/** A builder for one producer; keep it, since ids and timestamps rise from message to message. */
export function createMessageBuilder<C extends ContractTypes = ContractTypes>(
  options: MessageBuilderOptions,
): MessageBuilder<C> {
  const { contracts, source, profile = 'default', clock = systemClock } = options
  const validator = createMessageValidator({ contracts, profile, view: 'producer' })
  const newId = options.newId ?? createIdSource(clock)
  const newTimestamp = createTimestampSource(clock)
  return {
    build(event, data, build = {}) {
      const judge = validator.forEvent(event) ?? validator.forCommand(event)?.request
      if (judge === undefined) {
        const hint = suggest(event, validator.events)
        throw new TreatyError(
          'UNKNOWN_EVENT',
          `no contract has the event ${JSON.stringify(event)}`,
          hint === undefined ? {} : { hint },
        )
      }
      const message = {
        id: build.id ?? newId(),
        type: event,
        source,
        timestamp: newTimestamp(),
        correlation_id: build.correlationId ?? newId(),
        data,
        metadata: metadataOf(judge, build),
      }
      if (judge.check(message)) return message
      const findings = judge.findings(message)
      throw new TreatyError(
        'SCHEMA_MISMATCH',
        `${event} does not satisfy its contract in ${findings.filter((one) => hasErrors([one])).length} places`,
        {
          findings,
          hint: findings[0]?.message ?? '',
        },
      )
    },
  }
}
