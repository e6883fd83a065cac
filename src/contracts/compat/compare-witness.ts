import { isJsonObject, type Json, parsePointer } from '../../core/json.ts'
import { compileSchema } from '../schema/validator.ts'
import type { Side } from './policies.ts'
import type { Breaking } from './verdict.ts'

/** Examples that are tried for one break. */
const examplesMax = 50

/**
 * A message that people know, where one shows the break as well: an example that the first side accepts and the second
 * refuses, or an example changed at the place of the witness alone. Else the witness itself.
 */
export function realistic(
  found: Breaking,
  [a, b]: readonly [Side, Side],
  examples: readonly Json[],
): Json {
  if (examples.length === 0) return found.witness
  const accepts = compileSchema(a.schema, { draft: a.draft }).check
  const reads = compileSchema(b.schema, { draft: b.draft }).check
  const shows = (value: Json) => accepts(value) && !reads(value)
  const path = parsePointer(found.instancePointer) ?? []
  for (const example of examples.slice(0, examplesMax)) {
    const candidates = [example, ...grafts(example, found.witness, path)]
    const shown = candidates.find(shows)
    if (shown !== undefined) return shown
  }
  return found.witness
}

/** The example with what the witness has at the path, and with what the witness lacks there left out. */
function grafts(example: Json, witness: Json, path: readonly string[]): Json[] {
  const [mine, theirs] = [at(witness, path), at(example, path)]
  if (mine === undefined) return []
  // The nearest first: what is left of the example is what people know.
  const made: Json[] = []
  if (isJsonObject(mine) && isJsonObject(theirs)) {
    const missing = Object.keys(theirs).filter((name) => !Object.hasOwn(mine, name))
    for (const name of missing) made.push(withValue(example, path, without(theirs, [name])))
    for (const [name, value] of Object.entries(mine)) {
      made.push(withValue(example, path, { ...theirs, [name]: value }))
    }
    made.push(withValue(example, path, without(theirs, missing)))
    made.push(withValue(example, path, { ...theirs, ...mine }))
  }
  made.push(withValue(example, path, mine))
  return made
}

function without(
  value: Readonly<Record<string, Json | undefined>>,
  names: readonly string[],
): Json {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name))) as Json
}

function at(value: Json, path: readonly string[]): Json | undefined {
  let current: Json | undefined = value
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step))
      return undefined
    current = (current as Record<string, Json>)[step]
  }
  return current
}

function withValue(value: Json, path: readonly string[], replacement: Json): Json {
  const [step, ...rest] = path
  if (step === undefined) return replacement
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      String(index) === step ? withValue(item as Json, rest, replacement) : (item as Json),
    )
  }
  if (!isJsonObject(value)) return value
  const inner = Object.hasOwn(value, step) ? value[step] : {}
  return { ...value, [step]: withValue(inner as Json, rest, replacement) }
}
