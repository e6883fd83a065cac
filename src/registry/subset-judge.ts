import { isSubset, type Verdict } from '../contracts/compat/index.ts'
import type { CommandDefinition, Contract, JsonSchema } from '../contracts/index.ts'
import { draftOf, producerView, readerView } from '../contracts/index.ts'
import type { Finding } from '../core/finding.ts'
import { toPointer } from '../core/json.ts'
import type { CompatibilityJudge } from './model.ts'

/** One question of a comparison: is all that the one side writes read by the other? */
interface Question {
  readonly event: string
  /** Who writes, who reads, for people. */
  readonly relation: string
  readonly written: JsonSchema
  readonly read: JsonSchema
  readonly pointer: string
}

/**
 * The judge that asks the prover: event by event, writers' view against readers' view, in the directions of the mode
 * that the lower version names. Under `strict` the schemas are taken as written.
 */
export const subsetJudge: CompatibilityJudge = {
  judge(before, after) {
    const { mode } = before.evolution
    if (mode === 'none') return []
    const isBackward = !mode.startsWith('forward')
    const isForward = !mode.startsWith('backward')
    return [
      ...removals(before, after),
      ...questions(before, after, { isBackward, isForward }).flatMap((question) =>
        ask(question, before.evolution.policy === 'strict'),
      ),
    ]
  },
}

function removals(before: Contract, after: Contract): Finding[] {
  return (['events', 'commands'] as const).flatMap((kind) =>
    Object.keys(before[kind])
      .filter((name) => !Object.hasOwn(after[kind], name))
      .map(
        (name): Finding => ({
          code: 'COMPATIBILITY_BROKEN',
          severity: 'error',
          message: `\`${name}\` of version ${before.version} is not there any more`,
          hint: 'Keep it and mark it deprecated, or raise the major version.',
          pointer: toPointer([kind]),
          event: name,
        }),
      ),
  )
}

interface Directions {
  readonly isBackward: boolean
  readonly isForward: boolean
}

function questions(before: Contract, after: Contract, directions: Directions): Question[] {
  const asked: Question[] = []
  for (const [event, old] of Object.entries(before.events)) {
    const next = after.events[event]
    if (!next) continue
    const pointer = toPointer(['events', event, 'schema'])
    if (directions.isForward) {
      const relation = `what a producer of ${after.version} sends to a consumer of ${before.version}`
      asked.push({ event, relation, written: next.schema, read: old.schema, pointer })
    }
    if (directions.isBackward) {
      const relation = `what a producer of ${before.version} sent to a consumer of ${after.version}`
      asked.push({ event, relation, written: old.schema, read: next.schema, pointer })
    }
  }
  for (const [name, old] of Object.entries(before.commands)) {
    const next = after.commands[name]
    if (next) asked.push(...commandQuestions(old, next, [before.version, after.version]))
  }
  return asked
}

/** Callers are not deployed with the handler: old calls must be understood, and new replies readable. */
function commandQuestions(
  old: CommandDefinition,
  next: CommandDefinition,
  [before, after]: readonly [string, string],
): Question[] {
  const place = (...path: string[]) => toPointer(['commands', old.name, ...path])
  const replies: [string[], JsonSchema | undefined, JsonSchema | undefined][] = [
    [['reply'], old.reply, next.reply],
    ...Object.keys(old.errors).map(
      (error): [string[], JsonSchema | undefined, JsonSchema | undefined] => [
        ['errors', error],
        old.errors[error],
        next.errors[error],
      ],
    ),
  ]
  return [
    {
      event: old.name,
      relation: `what a caller of ${before} sends to a handler of ${after}`,
      written: old.schema,
      read: next.schema,
      pointer: place('schema'),
    },
    ...replies.flatMap(([path, read, written]): Question[] =>
      read === undefined || written === undefined
        ? []
        : [
            {
              event: old.name,
              relation: `what a handler of ${after} answers to a caller of ${before}`,
              written,
              read,
              pointer: place(...path),
            },
          ],
    ),
  ]
}

function ask({ event, relation, written, read, pointer }: Question, asWritten: boolean): Finding[] {
  const verdict: Verdict = asWritten
    ? isSubset(written, read)
    : isSubset(producerView(written, draftOf(written)), readerView(read, draftOf(read)))
  if (verdict.verdict === 'compatible') return []
  if (verdict.verdict === 'unknown') {
    return [
      {
        code: 'COMPATIBILITY_UNKNOWN',
        severity: 'error',
        message: `${relation} could not be decided at ${verdict.keyword}: ${verdict.reason}`,
        pointer,
        event,
      },
    ]
  }
  return [
    {
      code: 'COMPATIBILITY_BROKEN',
      severity: 'error',
      message: `${relation} may be refused: ${verdict.reason}`,
      hint: 'Take the change back, add a new field instead, or raise the major version.',
      pointer,
      event,
      witness: verdict.witness,
    },
  ]
}
