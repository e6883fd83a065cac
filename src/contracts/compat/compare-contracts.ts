import type { Contract } from '../model.ts'
import { compareVersions, parseVersion } from '../semver.ts'
import { describe } from './compare-describe.ts'
import { verdictFindings } from './compare-findings.ts'
import type { CompareSchemasOptions } from './compare-schemas.ts'
import { compareSchemas, directionVerdict, sidesOf, worst } from './compare-schemas.ts'
import type { ContractVerdict, MessageChange, SchemaBreak } from './compare-verdict.ts'
import { realistic } from './compare-witness.ts'
import { impactOn } from './impact.ts'
import type { Policy } from './policies.ts'
import { isRulePolicy, meaningOf, modeOf } from './policies.ts'
import type { SharedSchema } from './roles.ts'
import { directionsOf, sharedSchemas, structuralChanges } from './roles.ts'
import type { Bump } from './semver-bump.ts'
import { greatestBump, nextVersion } from './semver-bump.ts'

export interface CompareContractsOptions {
  /** Default: that of the latest earlier version. */
  readonly policy?: Policy
  /** Default: that of the latest earlier version. */
  readonly mode?: string
  /** Wall time in milliseconds for one question to the prover. Default 1500. */
  readonly budgetMs?: number
  readonly signal?: AbortSignal
}

/**
 * Compares a contract with its earlier versions (one, or a list in any order): each message under the policy, each
 * consumer by what it needs. Reads the files that the later contract came from for the places of findings.
 */
export function compareContracts(
  before: Contract | readonly Contract[],
  after: Contract,
  options: CompareContractsOptions = {},
): ContractVerdict {
  const earlier = inOrder('version' in before ? [before] : before)
  const latest = earlier.at(-1) ?? after
  // What was agreed decides how far it may be changed, not what is proposed.
  const { policy, mode: modeName } = { ...latest.evolution, ...defined(options) }
  const mode = modeOf(modeName)
  const settings: CompareSchemasOptions = {
    policy,
    envelope: after.envelope,
    ...(options.budgetMs === undefined ? {} : { budgetMs: options.budgetMs }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }
  const counted = earlier.filter(
    (contract) => contract === latest || (mode.transitive && sameMajor(contract, after)),
  )
  const isFixed = options.policy !== undefined || isRulePolicy(policy)
  const messages = messageChanges({ counted, latest, after, mode, settings, isFixed })
  const consumers = impactOn(after, { ...settings, mode: modeName, earlier })
  const bump = bumpOf(latest, after, messages)
  const next = nextVersion(latest.version, bump)
  const verdict = {
    id: after.id,
    before: latest.version,
    after: after.version,
    policy,
    mode: modeName,
    verdict: worst(messages.map((message) => message.verdict)),
    isMajor: majorOf(after) > majorOf(latest),
    bump,
    ...(next === undefined ? {} : { nextVersion: next }),
    messages: byName(messages, ({ name }) => name),
    consumers: byName(consumers, ({ consumer }) => consumer),
  }
  return { ...verdict, findings: verdictFindings(verdict, after) }
}

function defined(options: CompareContractsOptions) {
  const { policy, mode } = options
  return { ...(policy === undefined ? {} : { policy }), ...(mode === undefined ? {} : { mode }) }
}

function inOrder(contracts: readonly Contract[]): Contract[] {
  return contracts.toSorted((a, b) => {
    const [left, right] = [parseVersion(a.version), parseVersion(b.version)]
    return left && right ? compareVersions(left, right) : 0
  })
}

const majorOf = ({ version }: Contract) => parseVersion(version)?.major ?? 0
const sameMajor = (a: Contract, b: Contract) => majorOf(a) === majorOf(b)

function byName<T>(items: readonly T[], nameOf: (item: T) => string): Record<string, T> {
  return Object.fromEntries(items.map((item) => [nameOf(item), item]))
}

interface Comparison {
  /** The earlier versions whose readers and messages count, the latest last. */
  readonly counted: readonly Contract[]
  readonly latest: Contract
  readonly after: Contract
  readonly mode: { readonly backward: boolean; readonly forward: boolean }
  readonly settings: CompareSchemasOptions
  /** One policy for both sides; else each version is taken as its own runtime takes it. */
  readonly isFixed: boolean
}

function messageChanges(comparison: Comparison): MessageChange[] {
  const { counted, latest, after } = comparison
  const schemas = counted.flatMap((earlier) =>
    sharedSchemas(earlier, after).map((schema) => ({ ...schema, against: earlier })),
  )
  const structural = latest === after ? [] : structuralChanges(latest, after)
  const names = new Set(
    [latest, after].flatMap(({ events, commands }) => [
      ...Object.keys(events),
      ...Object.keys(commands),
    ]),
  )
  return [...names].map((name) => {
    const own = structural.filter((change) => change.event === name || change.event === undefined)
    const kind = (after.commands[name] ?? latest.commands[name]) === undefined ? 'event' : 'command'
    const mine = schemas.filter((schema) => schema.name === name && schema.kind === kind)
    const breaks = distinct(mine.flatMap((schema) => breaksOf(schema, comparison)))
    const ofLatest = mine.filter(({ against }) => against === latest)
    const bumps = ofLatest.map((schema) => bumpOfSchema(schema, breaks, comparison))
    const structuralBumps = own.map((change): Bump => (change.breaks ? 'major' : 'minor'))
    const verdict = worst([
      ...breaks.map((found) => found.verdict.verdict),
      ...own.map((change) => (change.breaks ? ('breaking' as const) : ('compatible' as const))),
    ])
    return {
      name,
      kind,
      verdict,
      bump: greatestBump([...bumps, ...structuralBumps]),
      breaks,
      structural: own,
    }
  })
}

type Counted = SharedSchema & { readonly against: Contract }

/** The same break against several versions is one: the latest version speaks for it. */
function distinct(breaks: readonly SchemaBreak[]): SchemaBreak[] {
  const found = new Map<string, SchemaBreak>()
  for (const each of breaks) {
    const { path, change } = each.description
    found.set(`${each.part} ${each.direction} ${path} ${change}`, each)
  }
  return [...found.values()]
}

/** The settings for one direction: who writes and who reads, each under the policy of its version. */
function settingsFor(
  against: Contract,
  isForward: boolean,
  { after, settings, isFixed }: Comparison,
): CompareSchemasOptions & { readonly policy: Policy } {
  const policy = settings.policy ?? 'evolvable'
  const [old, now] = [against.evolution.policy, after.evolution.policy]
  if (isFixed || old === now || isRulePolicy(now)) return { ...settings, policy }
  const policies = isForward ? { writes: now, reads: old } : { writes: old, reads: now }
  return { ...settings, policy, policies }
}

function breaksOf(schema: Counted, comparison: Comparison): SchemaBreak[] {
  const { mode, after: later, isFixed } = comparison
  const samePolicy = isFixed || schema.against.evolution.policy === later.evolution.policy
  if (samePolicy && meaningOf(schema.before) === meaningOf(schema.after)) return []
  return directionsOf(schema, mode).flatMap((direction) => {
    const isForward = direction === 'forward'
    const [writes, reads] = isForward
      ? [schema.after, schema.before]
      : [schema.before, schema.after]
    const settings = settingsFor(schema.against, isForward, comparison)
    const verdict = directionVerdict(writes, reads, settings)
    if (verdict.verdict === 'compatible') return []
    const description = describe(schema.before, schema.after, { instancePointer: '', ...verdict })
    const { after, before } = schema.examples
    const examples = isForward ? [...after, ...before] : [...before, ...after]
    const sides = sidesOf(writes, reads, settings)
    const witness =
      verdict.verdict !== 'breaking' || verdict.witness === undefined
        ? undefined
        : realistic({ ...verdict, witness: verdict.witness }, sides, examples)
    return [
      {
        part: schema.part,
        direction,
        against: schema.against.version,
        verdict,
        description,
        ...(witness === undefined ? {} : { witness }),
      },
    ]
  })
}

function bumpOfSchema(
  schema: Counted,
  breaks: readonly SchemaBreak[],
  { settings }: Comparison,
): Bump {
  const mine = breaks.filter(({ part }) => part === schema.part)
  const verdict = worst(mine.map((found) => found.verdict.verdict))
  if (verdict === 'breaking') return 'major'
  if (verdict === 'unknown') return 'unknown'
  // No direction is asked again: what is left to tell is whether the messages are the same ones.
  return compareSchemas(schema.before, schema.after, { ...settings, mode: 'none' }).bump
}

/** What the contract as a whole asks for: its messages, or a patch where anything else changed. */
function bumpOf(latest: Contract, after: Contract, messages: readonly MessageChange[]): Bump {
  const bump = greatestBump(messages.map((message) => message.bump))
  if (bump !== 'none' || latest === after) return bump
  return textOf(latest) === textOf(after) ? 'none' : 'patch'
}

/** What the contract says, without its version, reviews, status and the names of files. */
function textOf(contract: Contract): string {
  const {
    version: _version,
    reviews: _reviews,
    status: _status,
    file: _file,
    ...content
  } = contract
  return JSON.stringify(content, (key, value: unknown) =>
    key === 'schemaFile' || key === 'file' ? undefined : value,
  )
}
