import type { Json, JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import type { ConfluentDifference, Differ } from './confluent-difference.ts'

/** A schema that is made of others. */
interface Combined {
  readonly criterion: 'allOf' | 'anyOf' | 'oneOf'
  readonly branches: readonly JsonSchema[]
  readonly keyword: string
}

/** Branches beyond which no matching is tried: it would compare each with each. */
const branchesMax = 500

/** What a schema is combined of; a list of types is a union of schemas. Undefined for a plain schema. */
function combinedOf(schema: JsonObject): Combined | undefined {
  const { type } = schema
  if (Array.isArray(type)) {
    const types = type as readonly Json[]
    const branches = types.map((each) => ({ ...schema, type: each }))
    return { criterion: 'anyOf', branches, keyword: 'type' }
  }
  for (const criterion of ['allOf', 'anyOf', 'oneOf'] as const) {
    const list = schema[criterion]
    if (!Array.isArray(list) || list.length === 0) continue
    const {
      [criterion]: _branches,
      $schema: _draft,
      definitions: _d,
      $defs: _e,
      ...others
    } = schema
    const plain = Object.keys(others).filter(
      (keyword) => !/^(?:title|description|\$id|\$comment|default)$/.test(keyword),
    )
    // Keywords beside a union hold for every branch; beside `allOf` they are one branch more.
    const parts = list as readonly JsonSchema[]
    if (plain.length === 0) return { criterion, branches: parts, keyword: criterion }
    if (criterion === 'allOf')
      return { criterion, branches: [...parts, others], keyword: criterion }
    return { criterion: 'allOf', branches: [others, { [criterion]: list }], keyword: criterion }
  }
  return undefined
}

/** Differences where at least one side is a combination; undefined where both are plain. */
export function combinedDifferences(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] | undefined {
  const [was, is] = [combinedOf(old), combinedOf(now)]
  if (was === undefined && is === undefined) return undefined
  if (is === undefined) return narrowedToOne(differ, was as Combined, now, pointer)
  const at = `${pointer}/${is.keyword}`
  if (was === undefined) return extendedFromOne(differ, old, is, at)
  const found: ConfluentDifference[] = []
  if (was.criterion !== is.criterion) {
    if (is.criterion !== 'anyOf' && was.branches.length > 1)
      return [{ rule: 'COMBINED_TYPE_CHANGED', pointer: at }]
    found.push({ rule: 'COMBINED_TYPE_EXTENDED', pointer: at })
  }
  return [...found, ...matched(differ, was, is, at)]
}

/** A plain schema became a combination. */
function extendedFromOne(
  differ: Differ,
  old: JsonObject,
  is: Combined,
  pointer: string,
): ConfluentDifference[] {
  const fits = (branch: JsonSchema) => differ.isCompatible(old, branch)
  if (is.criterion === 'allOf') {
    return is.branches.every(fits) ? [] : [{ rule: 'PRODUCT_TYPE_EXTENDED', pointer }]
  }
  return [{ rule: is.branches.some(fits) ? 'SUM_TYPE_EXTENDED' : 'TYPE_CHANGED', pointer }]
}

/** A combination became a plain schema. */
function narrowedToOne(
  differ: Differ,
  was: Combined,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const fits = (branch: JsonSchema) => differ.isCompatible(branch, now)
  if (was.criterion === 'allOf') {
    return [{ rule: was.branches.some(fits) ? 'PRODUCT_TYPE_NARROWED' : 'TYPE_CHANGED', pointer }]
  }
  return was.branches.every(fits) ? [] : [{ rule: 'SUM_TYPE_NARROWED', pointer }]
}

function matched(
  differ: Differ,
  was: Combined,
  is: Combined,
  pointer: string,
): ConfluentDifference[] {
  const [old, now] = [was.branches, is.branches]
  const isTooLarge = old.length > branchesMax || now.length > branchesMax
  const pairs = isTooLarge
    ? 0
    : largestMatching(old, now, (before, after) => differ.isCompatible(before, after))
  const isSum = is.criterion !== 'allOf'
  const found: ConfluentDifference[] = []
  if (isSum && now.length > old.length) found.push({ rule: 'SUM_TYPE_EXTENDED', pointer })
  if (isSum && now.length < old.length) found.push({ rule: 'SUM_TYPE_NARROWED', pointer })
  if (!isSum && now.length > old.length) found.push({ rule: 'PRODUCT_TYPE_EXTENDED', pointer })
  if (!isSum && now.length < old.length) found.push({ rule: 'PRODUCT_TYPE_NARROWED', pointer })
  if (pairs < Math.min(old.length, now.length))
    found.push({ rule: 'COMBINED_TYPE_SUBSCHEMAS_CHANGED', pointer })
  return found
}

/**
 * How many pairs a largest matching of the two sides has, by augmenting paths (Kuhn 1955): at most as many questions as
 * there are pairs, each asked once.
 */
export function largestMatching<A, B>(
  left: readonly A[],
  right: readonly B[],
  fits: (a: A, b: B) => boolean,
): number {
  const edges = left.map((a) => right.flatMap((b, at) => (fits(a, b) ? [at] : [])))
  const partner = new Map<number, number>()
  const augment = (from: number, seen: Set<number>): boolean => {
    for (const to of edges[from] ?? []) {
      if (seen.has(to)) continue
      seen.add(to)
      const holder = partner.get(to)
      if (holder === undefined || augment(holder, seen)) {
        partner.set(to, from)
        return true
      }
    }
    return false
  }
  return left.filter((_, from) => augment(from, new Set())).length
}
