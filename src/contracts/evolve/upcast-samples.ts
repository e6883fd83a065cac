import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { trailOf } from '../compat/compare-place.ts'
import { ask } from '../compat/compare-schemas.ts'
import type { Side } from '../compat/policies.ts'
import { sideOf } from '../compat/policies.ts'
import type { Contract, JsonSchema } from '../model.ts'

/** Messages that are made for one schema at most. */
const samplesMax = 40
/** Time for one of them, in milliseconds. */
const budgetMs = 200

/**
 * Data that a schema allows, one for each way in which its fields can be: there, not there, null, each value of an
 * enumeration, each branch of a union. The prover makes them, so each satisfies the schema; the same ones every time.
 */
export function sampleMessages(
  schema: JsonSchema,
  policy: Contract['evolution']['policy'] = 'evolvable',
): Json[] {
  const side = sideOf(schema, 'producer', { policy })
  const found = new Map<string, Json>()
  for (const wish of [undefined, ...wishesOf(schema)]) {
    if (found.size >= samplesMax) break
    const made = instanceOf(wish === undefined ? side : narrowed(side, wish))
    if (made !== undefined) found.set(JSON.stringify(made.value), made.value)
  }
  return [...found.values()]
}

/** A value that the schema accepts: what refutes that it accepts none. */
function instanceOf({ schema, draft }: Side): { readonly value: Json } | undefined {
  const none: JsonSchema = draft === '04' ? { not: {} } : false
  const verdict = ask({ schema, draft }, { schema: none, draft }, { budgetMs })
  return verdict.verdict === 'breaking' ? { value: verdict.witness } : undefined
}

function narrowed(side: Side, wish: JsonObject): Side {
  if (typeof side.schema === 'boolean') return { ...side, schema: side.schema ? wish : false }
  const others = Array.isArray(side.schema.allOf) ? side.schema.allOf : []
  return { ...side, schema: { ...side.schema, allOf: [...others, wish] } }
}

/** What a message may be asked for: each declared field of the first two levels in each of its forms. */
function wishesOf(schema: JsonSchema): JsonObject[] {
  const wishes: JsonObject[] = []
  for (const name of fieldsAt(schema, [])) {
    wishes.push(...wishesFor(schema, [name]))
    for (const inner of fieldsAt(schema, [name])) wishes.push(...wishesFor(schema, [name, inner]))
  }
  return wishes
}

function nodesAt(schema: JsonSchema, path: readonly string[]): JsonObject[] {
  const { places, isComplete } = trailOf(schema, path)
  const last = places.at(-1)?.schema
  if (!isComplete || !isJsonObject(last)) return []
  const branches = [last.allOf, last.anyOf, last.oneOf].flatMap((list) =>
    Array.isArray(list) ? list.filter(isJsonObject) : [],
  )
  return [last, ...branches]
}

function fieldsAt(schema: JsonSchema, path: readonly string[]): string[] {
  return nodesAt(schema, path).flatMap(({ properties }) =>
    isJsonObject(properties) ? Object.keys(properties) : [],
  )
}

function wishesFor(schema: JsonSchema, path: readonly string[]): JsonObject[] {
  const forms = nodesAt(schema, path).flatMap((node): JsonObject[] => [
    ...(Array.isArray(node.enum)
      ? (node.enum as readonly Json[]).map((value) => ({ enum: [value] }))
      : []),
    ...(Array.isArray(node.type) ? (node.type as readonly Json[]).map((type) => ({ type })) : []),
  ])
  return [{}, ...forms, undefined].map((form) => wishAt(path, form))
}

/** The field is there and has this form; undefined: it is not there. */
function wishAt([name = '', ...rest]: readonly string[], form: JsonObject | undefined): JsonObject {
  if (rest.length > 0) {
    return { type: 'object', required: [name], properties: { [name]: wishAt(rest, form) } }
  }
  return form === undefined
    ? { type: 'object', not: { required: [name] } }
    : { type: 'object', required: [name], properties: { [name]: form } }
}
