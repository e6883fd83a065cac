import { errorMessage, isTreatyError } from '../../core/errors.ts'
import type { EnvelopeKind, JsonSchema } from '../model.ts'
import { rulesKeyword } from '../schema/rules.ts'
import { harmfulDifferences } from './confluent.ts'
import type { Policy, Side, ViewOptions } from './policies.ts'
import { isRulePolicy, meaningOf, modeOf, sideOf } from './policies.ts'
import { decide } from './question.ts'
import type { Bump } from './semver-bump.ts'
import type { Breaking, Compatible, Unknown } from './verdict.ts'

/** A break that the Confluent rules see. The witness is absent where the prover finds no message that shows it. */
export interface RuleBreak extends Omit<Breaking, 'witness'> {
  readonly witness?: Breaking['witness']
  /** Name of the difference in Confluent's words, such as `REQUIRED_ATTRIBUTE_ADDED`. */
  readonly rule: string
}

/** One direction of a comparison. */
export type DirectionVerdict =
  | Compatible
  | (Breaking & { readonly rule?: string })
  | RuleBreak
  | Unknown

export interface CompareSchemasOptions {
  /** Default `evolvable`. */
  readonly policy?: Policy
  /** `backward`, `forward`, `full` (each also `-transitive`), `none`. Default `full`. */
  readonly mode?: string
  /** Default: none, the schemas stand for themselves. */
  readonly envelope?: EnvelopeKind
  /** Where the two sides run under policies of their own, `strict` and `evolvable`. Default: `policy` for both. */
  readonly policies?: { readonly writes: Policy; readonly reads: Policy }
  /** Wall time in milliseconds for one question to the prover. Default 1500. */
  readonly budgetMs?: number
  readonly signal?: AbortSignal
}

/** How one schema changed. */
export interface SchemaVerdict {
  /** `breaking` when one direction breaks, else `unknown` when one is not known. */
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  /** New readers of old messages; absent where the mode does not ask. */
  readonly backward?: DirectionVerdict
  /** Old readers of new messages; absent where the mode does not ask. */
  readonly forward?: DirectionVerdict
  /** `none`: the same text; `patch`: the same messages; `minor`: proved; `major`: breaks. */
  readonly bump: Bump
}

const budgetMsDefault = 1_500
const ticks = 60_000

/** Asks the prover; a schema that it cannot take gives `unknown`, never an exception. */
export function ask(
  a: Side,
  b: Side,
  options: CompareSchemasOptions,
): Compatible | Breaking | Unknown {
  const { budgetMs = budgetMsDefault, signal } = options
  try {
    return decide(a, b, { budgetMs, ticks, signal })
  } catch (error) {
    if (!isTreatyError(error)) throw error
    const reason = `the prover cannot read the schema: ${errorMessage(error)}`
    return { verdict: 'unknown', keyword: '', schemaPointer: '', reason }
  }
}

/**
 * Compares two versions of one schema under a policy. `strict`: the schemas as written. `evolvable`: the views that the
 * runtime compiles, so that the verdict is what happens. The Confluent policies: their table of rules.
 */
export function compareSchemas(
  before: JsonSchema,
  after: JsonSchema,
  options: CompareSchemasOptions = {},
): SchemaVerdict {
  const mode = modeOf(options.mode ?? 'full')
  const policy = options.policy ?? 'evolvable'
  if (isSame(before, after, policy)) return unchanged(mode, before, after)
  const backward = mode.backward ? directionVerdict(before, after, options) : undefined
  const forward = mode.forward ? directionVerdict(after, before, options) : undefined
  const asked = [backward, forward].filter((one) => one !== undefined)
  const verdict = worst(asked.map((one) => one.verdict))
  return {
    verdict,
    ...(backward === undefined ? {} : { backward }),
    ...(forward === undefined ? {} : { forward }),
    bump: bumpOf(verdict, () => haveSameMessages(before, after, options)),
  }
}

/** The gravest of some verdicts; compatible where there are none. */
export function worst(
  verdicts: readonly ('compatible' | 'breaking' | 'unknown')[],
): 'compatible' | 'breaking' | 'unknown' {
  if (verdicts.includes('breaking')) return 'breaking'
  return verdicts.includes('unknown') ? 'unknown' : 'compatible'
}

function isSame(before: JsonSchema, after: JsonSchema, policy: Policy): boolean {
  // A default counts as data under Confluent's rules, so there the texts must be equal.
  return isRulePolicy(policy)
    ? JSON.stringify(before) === JSON.stringify(after)
    : meaningOf(before) === meaningOf(after)
}

function unchanged(
  mode: ReturnType<typeof modeOf>,
  before: JsonSchema,
  after: JsonSchema,
): SchemaVerdict {
  const same: Compatible = { verdict: 'compatible' }
  return {
    ...same,
    ...(mode.backward ? { backward: same } : {}),
    ...(mode.forward ? { forward: same } : {}),
    bump: JSON.stringify(before) === JSON.stringify(after) ? 'none' : 'patch',
  }
}

function bumpOf(verdict: SchemaVerdict['verdict'], isEqual: () => boolean): Bump {
  if (verdict === 'breaking') return 'major'
  if (verdict === 'unknown') return 'unknown'
  return isEqual() ? 'patch' : 'minor'
}

function haveSameMessages(
  before: JsonSchema,
  after: JsonSchema,
  options: CompareSchemasOptions,
): boolean {
  const [old, now] = [before, after].map((schema) => sideOf(schema, 'reader', { policy: 'strict' }))
  if (old === undefined || now === undefined) return false
  return [
    [old, now],
    [now, old],
  ].every(([a, b]) => ask(a as Side, b as Side, options).verdict === 'compatible')
}

/** Does a reader of `reads` accept everything that a producer of `writes` may send? */
export function directionVerdict(
  writes: JsonSchema,
  reads: JsonSchema,
  options: CompareSchemasOptions,
): DirectionVerdict {
  const policy = options.policy ?? 'evolvable'
  const [a, b] = sidesOf(writes, reads, { ...options, policy })
  const proved = ask(a, b, options)
  if (isRulePolicy(policy)) return ruleVerdict(harmfulDifferences(writes, reads, policy), proved)
  const verdict = proved
  return verdict.verdict === 'compatible' ? withRules(writes, reads) : verdict
}

/** The rules decide; where the prover sees the break too, its witness goes along. */
function ruleVerdict(
  harmful: ReturnType<typeof harmfulDifferences>,
  proved: Compatible | Breaking | Unknown,
): DirectionVerdict {
  const [first] = harmful
  if (first === undefined) return { verdict: 'compatible' }
  const rules = [...new Set(harmful.map(({ rule }) => rule))].join(', ')
  if (proved.verdict === 'breaking') {
    const reason = `${proved.reason} (${rules})`
    return { ...proved, rule: first.rule, reason }
  }
  const seen = proved.verdict === 'compatible' ? ', though no message shows it' : ''
  return {
    verdict: 'breaking',
    rule: first.rule,
    schemaPointer: first.pointer,
    instancePointer: instancePointer(first.pointer),
    reason: `Confluent's rules refuse it: ${rules}${seen}`,
  }
}

/** Where in the data a place of a schema is, as far as names of properties tell. */
function instancePointer(schemaPointer: string): string {
  const names = [...schemaPointer.matchAll(/\/properties\/([^/]+)/g)].map(([, name]) => name)
  return names.map((name) => `/${name}`).join('')
}

/** What the prover compares: the producer's side of what is written, the reader's of what is read. */
export function sidesOf(
  writes: JsonSchema,
  reads: JsonSchema,
  { policies, ...options }: ViewOptions & Pick<CompareSchemasOptions, 'policies'>,
): readonly [Side, Side] {
  const { writes: writing, reads: reading } = policies ?? {
    writes: options.policy,
    reads: options.policy,
  }
  return [
    sideOf(writes, 'producer', { ...options, policy: writing }),
    sideOf(reads, 'reader', { ...options, policy: reading }),
  ]
}

/** The prover does not know cross-field rules: those of the reader must be the writer's too, at the same place. */
function withRules(writes: JsonSchema, reads: JsonSchema): Compatible | Unknown {
  const mine = rulesIn(reads)
  if (mine.size === 0) return { verdict: 'compatible' }
  const theirs = rulesIn(writes)
  for (const [pointer, rules] of mine) {
    const known = theirs.get(pointer) ?? []
    if (rules.every((rule) => known.includes(rule))) continue
    return {
      verdict: 'unknown',
      keyword: rulesKeyword,
      schemaPointer: `${pointer}/${rulesKeyword}`,
      reason: 'a cross-field rule was added or changed, and rules are not proved',
    }
  }
  return { verdict: 'compatible' }
}

function rulesIn(schema: JsonSchema): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  if (!JSON.stringify(schema).includes(`"${rulesKeyword}"`)) return found
  const visit = (node: unknown, pointer: string): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      if (key === rulesKeyword && Array.isArray(value))
        found.set(
          pointer,
          value.map((rule) => JSON.stringify(rule)),
        )
      else visit(value, `${pointer}/${key}`)
    }
  }
  visit(schema, '')
  return found
}
