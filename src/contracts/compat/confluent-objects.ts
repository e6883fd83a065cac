import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import {
  below,
  type ConfluentDifference,
  type Differ,
  isEmptySchema,
} from './confluent-difference.ts'
import type { ConfluentRule } from './confluent-rules.ts'

/** What an object may hold beside its declared properties: anything, nothing, or what some schemas cover. */
type ContentModel = 'open' | 'closed' | 'partial'

/** What judges undeclared members: `additionalProperties`, else `unevaluatedProperties`. */
function rest(schema: JsonObject): JsonSchema | undefined {
  return (schema.additionalProperties ?? schema.unevaluatedProperties) as JsonSchema | undefined
}

function modelOf(schema: JsonObject): ContentModel {
  const others = rest(schema)
  const hasPatterns =
    isJsonObject(schema.patternProperties) && Object.keys(schema.patternProperties).length > 0
  if (others === false && !hasPatterns) return 'closed'
  const isOpen = others === undefined || isEmptySchema(others)
  return isOpen && !hasPatterns ? 'open' : 'partial'
}

/** The schema that judges an undeclared member of this name; undefined where none may be there. */
function covering(schema: JsonObject, name: string): JsonSchema | undefined {
  const patterns = isJsonObject(schema.patternProperties) ? schema.patternProperties : {}
  for (const [pattern, child] of Object.entries(patterns)) {
    if (matches(pattern, name)) return child as JsonSchema
  }
  const others = rest(schema)
  return others === false ? undefined : (others ?? true)
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name)
  } catch {
    return false
  }
}

const propertiesOf = (schema: JsonObject) =>
  new Map(Object.entries(isJsonObject(schema.properties) ? schema.properties : {}))
const requiredOf = (schema: JsonObject): ReadonlySet<Json> =>
  new Set(Array.isArray(schema.required) ? (schema.required as readonly Json[]) : [])
const hasDefault = (schema: JsonSchema | undefined) =>
  isJsonObject(schema) && schema.default !== undefined

/** Properties, required names, additional properties and dependencies. */
export function objectDifferences(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  return [
    ...properties(differ, old, now, pointer),
    ...requiredNames(old, now, pointer),
    ...additional(differ, old, now, pointer),
    ...dependencies(differ, old, now, pointer),
  ]
}

function properties(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const [was, is] = [propertiesOf(old), propertiesOf(now)]
  const names = new Set([...was.keys(), ...is.keys()])
  return [...names].flatMap((name) => {
    const at = below(pointer, 'properties', name)
    const [before, after] = [was.get(name), is.get(name)] as (JsonSchema | undefined)[]
    if (before !== undefined && after !== undefined) return differ.compare(before, after, at)
    const rule =
      before === undefined
        ? added(differ, old, now, name)
        : removed(differ, before, covering(now, name), modelOf(now))
    return [{ rule, pointer: at }]
  })
}

function removed(
  differ: Differ,
  before: JsonSchema,
  cover: JsonSchema | undefined,
  model: ContentModel,
): ConfluentRule {
  if (model === 'open') return 'PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL'
  if (model === 'partial') {
    const isCovered = cover !== undefined && differ.isCompatible(before, cover)
    return isCovered
      ? 'PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
      : 'PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
  }
  return before === false
    ? 'PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL'
    : 'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL'
}

function added(differ: Differ, old: JsonObject, now: JsonObject, name: string): ConfluentRule {
  const after = propertiesOf(now).get(name) as JsonSchema
  const isRequired = requiredOf(now).has(name)
  const model = modelOf(old)
  if (model === 'open') {
    if (isEmptySchema(after)) return 'PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL'
    return isRequired && !hasDefault(after)
      ? 'REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL'
      : 'PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL'
  }
  const cover = covering(old, name)
  if (cover !== undefined && !differ.isCompatible(cover, after))
    return 'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
  if (!isRequired) return 'OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL'
  return hasDefault(after)
    ? 'REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL'
    : 'REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL'
}

/** Only names that both declare: what is required and declared nowhere is not looked at. */
function requiredNames(old: JsonObject, now: JsonObject, pointer: string): ConfluentDifference[] {
  const [was, is] = [propertiesOf(old), propertiesOf(now)]
  const [before, after] = [requiredOf(old), requiredOf(now)]
  const at = `${pointer}/required`
  return [...is].flatMap(([name, schema]): ConfluentDifference[] => {
    if (!was.has(name) || before.has(name) === after.has(name)) return []
    if (before.has(name)) return [{ rule: 'REQUIRED_ATTRIBUTE_REMOVED', pointer: at }]
    const isFilled = hasDefault(schema as JsonSchema)
    return [
      {
        rule: isFilled ? 'REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED' : 'REQUIRED_ATTRIBUTE_ADDED',
        pointer: at,
      },
    ]
  })
}

/** What is allowed beside the declared: properties, or items of a tuple. */
export function restDifferences(
  differ: Differ,
  was: JsonSchema,
  is: JsonSchema,
  { pointer, kind }: { readonly pointer: string; readonly kind: 'PROPERTIES' | 'ITEMS' },
): ConfluentDifference[] {
  const [old, now] = [was, is].map((schema) => (isEmptySchema(schema) ? true : schema))
  if (old === now) return []
  if (old === false) {
    return [{ rule: `ADDITIONAL_${kind}_${now === true ? 'ADDED' : 'EXTENDED'}`, pointer }]
  }
  if (now === false) return [{ rule: `ADDITIONAL_${kind}_REMOVED`, pointer }]
  if (now === true) return [{ rule: `ADDITIONAL_${kind}_EXTENDED`, pointer }]
  if (old === true) return [{ rule: `ADDITIONAL_${kind}_NARROWED`, pointer }]
  return differ.compare(was, is, pointer)
}

function additional(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const keyword =
    now.unevaluatedProperties !== undefined ? 'unevaluatedProperties' : 'additionalProperties'
  return restDifferences(differ, rest(old) ?? true, rest(now) ?? true, {
    pointer: `${pointer}/${keyword}`,
    kind: 'PROPERTIES',
  })
}

function dependencies(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  return ['dependencies', 'dependentRequired', 'dependentSchemas'].flatMap((keyword) => {
    const [was, is] = [old[keyword], now[keyword]].map((map) => (isJsonObject(map) ? map : {}))
    const names = new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})])
    return [...names].flatMap((name) =>
      dependency(differ, was?.[name], is?.[name], below(pointer, keyword, name)),
    )
  })
}

function dependency(
  differ: Differ,
  was: Json | undefined,
  is: Json | undefined,
  pointer: string,
): ConfluentDifference[] {
  const [before, after] = [namesOf(was), namesOf(is)]
  if (before !== undefined && after !== undefined) {
    const isGrown = before.every((name) => after.includes(name))
    const isShrunk = after.every((name) => before.includes(name))
    if (isGrown && isShrunk) return []
    const how = isGrown ? 'EXTENDED' : isShrunk ? 'NARROWED' : 'CHANGED'
    return [{ rule: `DEPENDENCY_ARRAY_${how}`, pointer }]
  }
  const found: ConfluentDifference[] = []
  if (before !== undefined) found.push({ rule: 'DEPENDENCY_ARRAY_REMOVED', pointer })
  if (after !== undefined) found.push({ rule: 'DEPENDENCY_ARRAY_ADDED', pointer })
  const hadSchema = was !== undefined && before === undefined
  const hasSchema = is !== undefined && after === undefined
  if (hadSchema && hasSchema) return differ.compare(was as JsonSchema, is as JsonSchema, pointer)
  if (hadSchema) found.push({ rule: 'DEPENDENCY_SCHEMA_REMOVED', pointer })
  if (hasSchema) found.push({ rule: 'DEPENDENCY_SCHEMA_ADDED', pointer })
  return found
}

function namesOf(value: Json | undefined): readonly Json[] | undefined {
  return Array.isArray(value) ? (value as readonly Json[]) : undefined
}
