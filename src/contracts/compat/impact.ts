import type { Json } from '../../core/json.ts'
import { consumerView } from '../evolve/needs.ts'
import type { Consumer, Contract, EventDefinition, JsonSchema } from '../model.ts'
import { parseVersion, satisfies } from '../semver.ts'
import type { Description } from './compare-describe.ts'
import { describe } from './compare-describe.ts'
import type { CompareSchemasOptions } from './compare-schemas.ts'
import { ask, worst } from './compare-schemas.ts'
import { realistic } from './compare-witness.ts'
import { meaningOf, modeOf, sideOf } from './policies.ts'
import type { Verdict } from './verdict.ts'

/** What a change does to one event of one consumer. */
export interface EventImpact {
  readonly event: string
  /** Paths that the consumer needs; empty: all that it was promised, or the schema that it gave. */
  readonly needs: readonly string[]
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  /** Why, in one clause; absent when compatible. */
  readonly reason?: string
  /** Data that the changed producer may send and the consumer cannot read. */
  readonly witness?: Json
  readonly description?: Description
  /** Version of the contract whose schema says what the needs mean. */
  readonly since: string
}

/** What a change does to one consumer. */
export interface ConsumerImpact {
  readonly consumer: string
  readonly pending: boolean
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  readonly events: readonly EventImpact[]
}

export interface ImpactOptions extends CompareSchemasOptions {
  /** Earlier versions, the latest last: they say what a need meant when it was written down. */
  readonly earlier: readonly Contract[]
}

/** What `after` does to each of its consumers, and to those of the version before that it no longer names. */
export function impactOn(after: Contract, options: ImpactOptions): ConsumerImpact[] {
  const latest = options.earlier.at(-1)
  const consumers = { ...latest?.consumers, ...after.consumers }
  return Object.values(consumers).map((consumer) => consumerImpact(consumer, after, options))
}

/** What the messages of `after` do to one consumer, which may be registered elsewhere than in the contract. */
export function consumerImpact(
  consumer: Consumer,
  after: Contract,
  options: ImpactOptions,
): ConsumerImpact {
  const events = Object.keys(consumer.events).map((event) =>
    eventImpact(consumer, event, after, options),
  )
  return {
    consumer: consumer.name,
    pending: consumer.pending,
    verdict: worst(events.map(({ verdict }) => verdict)),
    events,
  }
}

function eventImpact(
  consumer: Consumer,
  event: string,
  after: Contract,
  options: ImpactOptions,
): EventImpact {
  const consumed = consumer.events[event] ?? { needs: [] }
  const { contract: sinceContract, definition: since } = writtenAgainst(
    consumer,
    event,
    after,
    options.earlier,
  )
  const shared = { event, needs: consumed.needs, since: sinceContract.version }
  const now = after.events[event]
  if (now === undefined || since === undefined) {
    const isGone = options.earlier.some((contract) => contract.events[event] !== undefined)
    if (!isGone) return { ...shared, verdict: 'compatible' }
    return { ...shared, verdict: 'breaking', reason: 'the event is gone' }
  }
  const left = leftOut(consumer, after, options.earlier)
  if (left !== undefined) return { ...shared, verdict: 'breaking', reason: left }
  const isTheSame = meaningOf(since.schema) === meaningOf(now.schema)
  if (consumed.needsSchema === undefined && isTheSame) return { ...shared, verdict: 'compatible' }
  const saysNothing = consumed.needs.length === 0 && consumed.needsSchema === undefined
  // Who says nothing relies on what the contract promises, and no more.
  if (saysNothing && !modeOf(options.mode ?? 'full').forward)
    return { ...shared, verdict: 'compatible' }
  const policy = after.evolution.policy
  const view = consumerView(consumed, since.schema, policy)
  return { ...shared, ...prove({ view, since, now }, { ...options, policy, after }) }
}

/** The version that says what a need means: the one named by `since`, else the latest, else the new one. */
function writtenAgainst(
  consumer: Consumer,
  event: string,
  after: Contract,
  earlier: readonly Contract[],
): { readonly contract: Contract; readonly definition: EventDefinition | undefined } {
  const named = earlier.findLast(({ version }) => version === consumer.since)
  const isNew = named === undefined && consumer.since === after.version
  const candidates = isNew ? [after] : [named, ...earlier.toReversed(), after]
  for (const contract of candidates) {
    const definition = contract?.events[event]
    if (contract !== undefined && definition !== undefined) return { contract, definition }
  }
  return { contract: after, definition: undefined }
}

/** Why messages of this version do not reach the consumer at all; undefined when they do. */
function leftOut(
  { name, accepts }: Consumer,
  after: Contract,
  earlier: readonly Contract[],
): string | undefined {
  const before = earlier.at(-1)
  const [old, now] = [parseVersion(before?.version ?? ''), parseVersion(after.version)]
  if (!old || !now || old.major === now.major || satisfies(after.version, accepts)) return undefined
  return `\`${name}\` accepts ${accepts}, which leaves out ${after.version}`
}

interface Proof {
  readonly view: JsonSchema
  readonly since: EventDefinition
  readonly now: EventDefinition
}

function prove(
  { view, since, now }: Proof,
  options: ImpactOptions & {
    readonly after: Contract
    readonly policy: Contract['evolution']['policy']
  },
): Pick<EventImpact, 'verdict' | 'reason' | 'witness' | 'description'> {
  const { policy, after } = options
  const { envelope } = after
  // A view is a reader's already; the Confluent policies compare what is written.
  const sides = [
    sideOf(now.schema, 'producer', { policy, envelope }),
    sideOf(view, 'reader', { policy: 'strict', envelope }),
  ] as const
  const verdict: Verdict = ask(...sides, options)
  if (verdict.verdict === 'compatible') return { verdict: 'compatible' }
  const description = describe(since.schema, now.schema, {
    instancePointer: '',
    ...verdict,
  })
  if (verdict.verdict === 'unknown')
    return { verdict: 'unknown', reason: verdict.reason, description }
  const examples = [...now.examples, ...since.examples].map(({ value }) => value)
  const witness = realistic(verdict, sides, examples)
  return { verdict: 'breaking', reason: verdict.reason, witness, description }
}
