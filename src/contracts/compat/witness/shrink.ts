import { isJsonObject, type Json } from '../../../core/json.ts'
import { members, setOwn } from '../formula/canonical.ts'

const attemptsMax = 60

/**
 * A smaller value that still proves the same: members and items are left out one at a time, outer
 * ones first, as long as `proves` stays true.
 */
export function shrink(value: Json, proves: (candidate: Json) => boolean): Json {
  let attempts = 0
  const tries = (candidate: Json): boolean => {
    attempts += 1
    return attempts <= attemptsMax && proves(candidate)
  }
  let best = value
  for (let smaller = step(best, tries); smaller !== undefined; smaller = step(best, tries))
    best = smaller
  return best
}

/** The first smaller value that passes; undefined when there is none. */
function step(value: Json, tries: (candidate: Json) => boolean): Json | undefined {
  for (const candidate of smallerOnes(value)) if (tries(candidate)) return candidate
  return undefined
}

function* smallerOnes(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    const items = value as readonly Json[]
    for (let index = items.length - 1; index >= 0; index -= 1) yield items.toSpliced(index, 1)
    for (const [index, item] of items.entries())
      for (const smaller of smallerOnes(item)) yield items.with(index, smaller)
  } else if (isJsonObject(value)) {
    const entries = members(value)
    for (const [left] of entries) yield build(entries.filter(([key]) => key !== left))
    for (const [at, [key, member]] of entries.entries()) {
      for (const smaller of smallerOnes(member)) yield build(entries.with(at, [key, smaller]))
    }
  }
}

function build(entries: readonly (readonly [string, Json])[]): Json {
  const result: Record<string, Json> = {}
  for (const [key, member] of entries) setOwn(result, key, member)
  return result
}
