import { isUtf8 } from 'node:buffer'
import type { DraftName, Verdict } from '../../contracts/compat/index.ts'
import { isSubset } from '../../contracts/compat/index.ts'
import type { JsonSchema } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { InputLine } from '../read-input.ts'

/** What became of one line: an answer, or why there is none. */
export type BatchAnswer =
  | ({ readonly kind: 'verdict'; readonly id: Json; readonly ms: number } & Verdict)
  | { readonly kind: 'error'; readonly id: Json; readonly error: string; readonly reason: string }

/** What holds for every line that does not say otherwise. */
export interface BatchDefaults {
  readonly draft?: DraftName
  readonly budgetMs?: number
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Answers one line of `treaty compat --batch`. Never throws on content. */
export function answerLine(line: InputLine, defaults: BatchDefaults): BatchAnswer {
  let id: Json = null
  try {
    const pair = readPair(line)
    id = pair.id ?? null
    return { kind: 'verdict', id, ...judge(pair, defaults) }
  } catch (error) {
    const code = isTreatyError(error) ? error.code : 'UNFORESEEN'
    const reason = `line ${line.number}: ${errorMessage(error)}`
    return { kind: 'error', id: idOf(line) ?? id, error: code, reason }
  }
}

function idOf(line: InputLine): Json | undefined {
  try {
    const value = JSON.parse(line.bytes.toString('utf8')) as Json
    return isJsonObject(value) ? value.id : undefined
  } catch {
    return undefined // Not JSON: the line has no id to answer under.
  }
}

function invalid(message: string): TreatyError {
  return new TreatyError('PAIR_INVALID', message, {
    hint: 'Write each line as { "id": …, "a": SCHEMA, "b": SCHEMA }.',
  })
}

function readPair({ bytes, isTooLong }: InputLine): JsonObject {
  if (isTooLong) throw new TreatyError('FILE_TOO_LARGE', 'the line is too long')
  if (!isUtf8(bytes)) throw new TreatyError('FILE_NOT_UTF8', 'the line is not UTF-8 text')
  let value: Json
  try {
    // Not `parseJson`: a schema may well declare a field `__proto__`, which `JSON.parse` keeps as an own key.
    value = JSON.parse(bytes.toString('utf8')) as Json
  } catch (cause) {
    throw new TreatyError('JSON_SYNTAX', 'the line is not JSON', { cause })
  }
  if (!isJsonObject(value)) throw invalid('the line is no JSON object')
  for (const side of ['a', 'b'] as const) {
    if (!isJsonObject(value[side]) && typeof value[side] !== 'boolean') {
      throw invalid(`\`${side}\` is no schema: expected an object or a boolean`)
    }
  }
  return value
}

function judge(pair: JsonObject, defaults: BatchDefaults): Verdict & { readonly ms: number } {
  const { clock, signal, budgetMs } = defaults
  const draftA = draftOf(pair.draftA ?? pair.draft) ?? defaults.draft
  const draftB = draftOf(pair.draftB ?? pair.draft) ?? defaults.draft
  const startedAt = clock.monotonic()
  const verdict = isSubset(pair.a as JsonSchema, pair.b as JsonSchema, {
    signal,
    ...(draftA === undefined ? {} : { draftA }),
    ...(draftB === undefined ? {} : { draftB }),
    ...(budgetMs === undefined ? {} : { budgetMs }),
  })
  return { ...verdict, ms: Math.round((clock.monotonic() - startedAt) * 1000) / 1000 }
}

function draftOf(name: Json | undefined): DraftName | undefined {
  if (name === undefined || name === null) return undefined
  if (typeof name !== 'string') throw invalid('`draft` is no text')
  return name as DraftName
}
