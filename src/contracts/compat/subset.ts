import { TreatyError } from '../../core/errors.ts'
import type { JsonSchema } from '../model.ts'
import { type Draft, parseDraft } from './load/dialect.ts'
import { declaredDraft } from './load/references.ts'
import { decide } from './question.ts'
import type { Verdict } from './verdict.ts'

/** Names of drafts as they are accepted: with or without `draft-`. */
export type DraftName = Draft | `draft-${Draft}`

export interface SubsetOptions {
  /** Draft of `a`. Default: what its `$schema` names, else 2020-12. */
  readonly draftA?: DraftName
  /** Draft of `b`. Default: what its `$schema` names, else 2020-12. */
  readonly draftB?: DraftName
  /** Wall time in milliseconds after which the answer is `unknown`. Default 1500. */
  readonly budgetMs?: number
  /** Ends the question early with `unknown`. */
  readonly signal?: AbortSignal
}

const budgetMsDefault = 1_500
const ticks = 60_000

/**
 * Is every instance of `a` accepted by `b`? Formats are asserted, in every draft. The answer is a
 * proof, a witness that two validators have checked, or `unknown` with keyword and reason; it
 * never fetches anything, and its time and memory are bounded.
 *
 * @throws SCHEMA_INVALID when one of them is no schema of its draft
 * @throws REF_REMOTE · REF_NOT_FOUND when a reference leads outside, or nowhere
 */
export function isSubset(a: JsonSchema, b: JsonSchema, options: SubsetOptions = {}): Verdict {
  const { draftA, draftB, budgetMs = budgetMsDefault, signal } = options
  return decide(
    { schema: a, draft: readDraft(a, draftA) },
    { schema: b, draft: readDraft(b, draftB) },
    { budgetMs, ticks: ticks * Math.max(1, budgetMs / budgetMsDefault), signal },
  )
}

function readDraft(schema: JsonSchema, name: string | undefined): Draft {
  if (name === undefined) return declaredDraft(schema) ?? '2020-12'
  const draft = parseDraft(name)
  if (draft === undefined) {
    throw new TreatyError('SCHEMA_INVALID', `no draft is named ${name}`, {
      hint: 'Name one of 04, 06, 07, 2019-09, 2020-12.',
    })
  }
  return draft
}
