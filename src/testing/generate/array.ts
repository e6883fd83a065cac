import type { JsonSchema } from '../../contracts/index.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { Impossible } from './conjuncts.ts'
import type { MakeContext } from './making.ts'
import { memberOf } from './making.ts'
import { numbersOf } from './scalar.ts'

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'boolean' || isJsonObject(value)

/** The schemas of the element at this index. */
function schemasAt(schemas: readonly JsonObject[], index: number): JsonSchema[] {
  return schemas.flatMap((schema) => {
    const tuple = Array.isArray(schema.prefixItems) ? schema.prefixItems : schema.items
    if (Array.isArray(tuple)) {
      if (index < tuple.length) return [tuple[index] as JsonSchema]
      const rest = Array.isArray(schema.prefixItems) ? schema.items : schema.additionalItems
      return isSchema(rest) ? [rest] : []
    }
    return isSchema(schema.items) ? [schema.items] : []
  })
}

function lengthOf(schemas: readonly JsonObject[], { site, making, luck }: MakeContext): number {
  const min = Math.max(0, ...numbersOf(schemas, 'minItems'))
  const max = Math.min(...numbersOf(schemas, 'maxItems'))
  const wanted = schemas
    .filter((schema) => isSchema(schema.contains))
    .map((schema) => (typeof schema.minContains === 'number' ? schema.minContains : 1))
  const least = Math.max(min, ...wanted)
  if (least > max) throw new Impossible(site.pointer, 'no array is that long and that short')
  if (making.optional === 'none' || site.depth >= making.depthMax) return least
  const usual = making.optional === 'all' ? Math.max(1, least) : luck.between(least, least + 2)
  return Math.min(max, usual)
}

/** The schema that `contains` asks of the element at this index, if it is one of the first. */
function containedAt(schemas: readonly JsonObject[], index: number): JsonSchema[] {
  return schemas.flatMap((schema) => {
    const wanted = typeof schema.minContains === 'number' ? schema.minContains : 1
    return isSchema(schema.contains) && index < wanted ? [schema.contains] : []
  })
}

const triesForUnique = 12

export function makeArray(schemas: readonly JsonObject[], context: MakeContext): Json {
  const { site, making } = context
  const length = lengthOf(schemas, context)
  const isUnique = schemas.some((schema) => schema.uniqueItems === true)
  const seen = new Set<string>()
  const items: Json[] = []
  for (let index = 0; index < length; index += 1) {
    const asked = [...schemasAt(schemas, index), ...containedAt(schemas, index)]
    if (asked.includes(false)) break
    const item = makeItem(asked, index, { ...context, seen, isUnique })
    if (item === undefined) break
    seen.add(JSON.stringify(item))
    items.push(item)
  }
  if (items.length < Math.max(0, ...numbersOf(schemas, 'minItems'))) {
    throw new Impossible(site.pointer, `only ${items.length} different elements were found`)
  }
  return items

  function makeItem(
    asked: readonly JsonSchema[],
    index: number,
    unique: { seen: ReadonlySet<string>; isUnique: boolean },
  ): Json | undefined {
    const place = memberOf(site, index, making)
    for (let attempt = 0; attempt < triesForUnique; attempt += 1) {
      const value = making.make(asked, { ...place, seed: place.seed + attempt })
      if (!unique.isUnique || !unique.seen.has(JSON.stringify(value))) return value
    }
    return undefined
  }
}
