import { isJsonObject, type Json, type JsonObject, parsePointer } from '../../core/json.ts'
import { compareContracts } from '../compat/compare-contracts.ts'
import { dereferenced, trailOf } from '../compat/compare-place.ts'
import { consumerImpact } from '../compat/impact.ts'
import type { Consumer, Contract, JsonSchema } from '../model.ts'
import { parseVersion } from '../semver.ts'
import { createUpcaster } from './upcast.ts'

/** Something that is on its way out, and who holds it back. */
export interface Retirement {
  readonly event: string
  /** Dotted path of the field; absent where the whole event is meant. */
  readonly field?: string
  readonly since?: string
  /** Day (YYYY-MM-DD) from which the event may not be published. */
  readonly sunset?: string
  readonly use?: string
  /** Consumers that still need it, pending ones left out. */
  readonly neededBy: readonly string[]
  /** Consumers whose need could be neither proved nor refuted; they hold it back too. */
  readonly unknownTo: readonly string[]
  /** True when nobody needs it any more. */
  readonly canGo: boolean
  /** True when the sunset has passed. */
  readonly isOverdue: boolean
}

/** One step of a change of format, in the only order in which nothing breaks. */
export interface MigrationStep {
  readonly step: 'register' | 'widen' | 'dual-write' | 'switch' | 'drop'
  readonly title: string
  readonly done: boolean
  /** What is still to be done; empty when done. */
  readonly open: readonly string[]
}

export interface MigrationReport {
  readonly id: string
  readonly version: string
  readonly retirements: readonly Retirement[]
  /** Empty without an earlier version to come from. */
  readonly steps: readonly MigrationStep[]
}

export interface MigrationOptions {
  /** The version that the migration comes from. */
  readonly from?: Contract
  /** Consumers that are registered elsewhere than in the contract. */
  readonly consumers?: readonly Consumer[]
  readonly now: Date
}

/**
 * How far a change of format has come. The steps are in the order that works under strict validation: register the
 * additive version, let consumers accept both, write both, move the readers, and drop the old only when nobody needs it.
 * (Seed 004 lets producers write both formats before anybody accepts them.)
 */
export function migrationReport(contract: Contract, options: MigrationOptions): MigrationReport {
  const consumers = [...Object.values(contract.consumers), ...(options.consumers ?? [])].filter(
    ({ pending }) => !pending,
  )
  const today = options.now.toISOString().slice(0, 10)
  const retirements = Object.values(contract.events).flatMap((event) => {
    const fields = deprecatedFields(event.schema).map((path) =>
      fieldRetirement(contract, event.name, path, consumers),
    )
    return event.deprecated === undefined
      ? fields
      : [eventRetirement(contract, event.name, consumers, today), ...fields]
  })
  const { from } = options
  const steps = from === undefined ? [] : stepsFrom(from, contract, { consumers, retirements })
  return { id: contract.id, version: contract.version, retirements, steps }
}

function eventRetirement(
  contract: Contract,
  name: string,
  consumers: readonly Consumer[],
  today: string,
): Retirement {
  const { since, sunset, use } = contract.events[name]?.deprecated ?? {}
  const neededBy = consumers
    .filter(({ events }) => events[name] !== undefined)
    .map((consumer) => consumer.name)
  return {
    event: name,
    ...(since === undefined ? {} : { since }),
    ...(sunset === undefined ? {} : { sunset }),
    ...(use === undefined ? {} : { use }),
    neededBy,
    unknownTo: [],
    canGo: neededBy.length === 0,
    isOverdue: sunset !== undefined && sunset <= today,
  }
}

/** Whether a field can go is asked of the prover: a version without it, and each consumer's needs. */
function fieldRetirement(
  contract: Contract,
  event: string,
  path: readonly string[],
  consumers: readonly Consumer[],
): Retirement {
  const definition = contract.events[event]
  const without =
    definition === undefined
      ? contract
      : {
          ...contract,
          events: {
            ...contract.events,
            [event]: { ...definition, schema: withoutField(definition.schema, path) },
          },
        }
  const verdicts = consumers
    .filter(({ events }) => events[event] !== undefined)
    .map((consumer) => ({
      name: consumer.name,
      verdict: needsField(consumer, event, path)
        ? ('breaking' as const)
        : consumerImpact(consumer, without, { earlier: [contract] }).verdict,
    }))
  const named = (wanted: string) =>
    verdicts.filter(({ verdict }) => verdict === wanted).map(({ name }) => name)
  const [neededBy, unknownTo] = [named('breaking'), named('unknown')]
  return {
    event,
    field: path.join('.'),
    neededBy,
    unknownTo,
    canGo: neededBy.length + unknownTo.length === 0,
    isOverdue: false,
  }
}

/** A need for an optional field is no promise that it is there, and yet somebody reads it. */
function needsField({ events }: Consumer, event: string, path: readonly string[]): boolean {
  const field = path.join('.')
  return (events[event]?.needs ?? []).some((need) => need === field || need.startsWith(`${field}.`))
}

/** Paths of the fields that the schema marks `deprecated`, also behind references. */
function deprecatedFields(schema: JsonSchema): string[][] {
  const found: string[][] = []
  const seen = new Set<JsonSchema>()
  const visit = (path: readonly string[]) => {
    const { places } = trailOf(schema, path)
    const last = places.at(-1)?.schema
    const node = last && dereferenced(schema, last)
    // A schema that holds itself has the same fields again and again.
    if (node === undefined || seen.has(node)) return
    seen.add(node)
    for (const name of declared(schema, node)) {
      const here = [...path, name]
      const child = trailOf(schema, here)
      const field = child.places.at(-1)?.schema
      if (!child.isComplete || !isJsonObject(field)) continue
      if (field.deprecated === true) found.push(here)
      else visit(here)
    }
  }
  visit([])
  return found
}

function declared(root: JsonSchema, node: JsonSchema | undefined): string[] {
  if (!isJsonObject(node)) return []
  const own = isJsonObject(node.properties) ? Object.keys(node.properties) : []
  const parts = Array.isArray(node.allOf) ? (node.allOf as JsonSchema[]) : []
  return [...own, ...parts.flatMap((part) => declared(root, dereferenced(root, part)))]
}

/** The schema without a declared field; messages may no longer hold it. */
function withoutField(schema: JsonSchema, path: readonly string[]): JsonSchema {
  const { places, isComplete } = trailOf(schema, path)
  const pointer = places.at(-1)?.pointer
  if (!isComplete || pointer === undefined || !isJsonObject(schema)) return schema
  const copy = structuredClone(schema) as Record<string, Json>
  const steps = parsePointer(pointer) ?? []
  const name = path.at(-1) as string
  let holder: Record<string, Json> = copy
  for (const step of steps.slice(0, -2)) holder = holder[step] as Record<string, Json>
  const properties = holder[steps.at(-2) ?? ''] as Record<string, Json> | undefined
  if (properties === undefined) return schema
  delete properties[steps.at(-1) ?? '']
  if (Array.isArray(holder.required)) {
    holder.required = (holder.required as string[]).filter((each) => each !== name)
  }
  return copy as JsonObject
}

const majorOf = ({ version }: Contract) => parseVersion(version)?.major

function stepsFrom(
  from: Contract,
  contract: Contract,
  known: { readonly consumers: readonly Consumer[]; readonly retirements: readonly Retirement[] },
): MigrationStep[] {
  const verdict = compareContracts(from, contract)
  const isReadable = verdict.verdict === 'compatible' || majorOf(from) !== majorOf(contract)
  const breaks = Object.values(verdict.messages).filter(
    (message) => message.verdict !== 'compatible',
  )
  const unfit = known.consumers.filter(
    ({ name }) => (verdict.consumers[name]?.verdict ?? 'compatible') !== 'compatible',
  )
  const upcaster = createUpcaster(contract)
  const withoutWay = breaks.filter(({ name }) => upcaster.path(name, from.version) === undefined)
  const held = known.retirements.filter(({ canGo }) => !canGo)
  const step = (
    name: MigrationStep['step'],
    title: string,
    open: readonly string[],
  ): MigrationStep => ({ step: name, title, done: open.length === 0, open })
  return [
    step(
      'register',
      'Register the version that has old and new fields',
      isReadable ? [] : breaks.map(({ name }) => `${name} breaks ${from.version}`),
    ),
    step(
      'widen',
      'Let every consumer accept both',
      unfit.map(({ name }) => `${name} cannot read ${contract.version} yet`),
    ),
    step(
      'dual-write',
      'Let producers write both, or upcast what is kept',
      withoutWay.map(({ name }) => `no upcast of ${name} leads from ${from.version}`),
    ),
    step(
      'switch',
      'Move the readers to the new fields',
      held.map(({ event, field, neededBy, unknownTo }) => {
        const what = field === undefined ? event : `${field} of ${event}`
        return `${[...neededBy, ...unknownTo].join(', ')} still needs ${what}`
      }),
    ),
    step(
      'drop',
      'Drop the old fields',
      known.retirements.map(({ event, field }) =>
        field === undefined ? `${event} is still there` : `${field} of ${event} is still there`,
      ),
    ),
  ]
}
