import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { readerView } from '../message/views.ts'
import type { ConsumedEvent, Consumer, Contract, JsonSchema } from '../model.ts'
import type { Draft } from '../schema/draft.ts'
import { draftOf, isOldDraft } from '../schema/draft.ts'
import { extractSchema } from '../schema/schema-extract.ts'
import type { References } from '../schema/schema-references.ts'
import { readReferences } from '../schema/schema-references.ts'

type Policy = Contract['evolution']['policy']
type Path = readonly string[]

/** What one projection carries along. */
interface Projection {
  readonly references: References
  readonly draft: Draft
  /** References that are being followed for the same value, so that a circle ends. */
  readonly open: Set<JsonObject>
}

const isIndex = (name: string) => /^(?:\d+|\*)$/.test(name)

/**
 * What a reader relies on that needs these dotted paths: the schema, narrowed to them. A path that is required
 * in the schema is required in the view; the value there satisfies what the schema says of it (as a reader sees it,
 * unless the policy is `strict`); everything else is free. Whatever the schema accepts, the view accepts.
 */
export function needView(
  schema: JsonSchema,
  needs: readonly string[],
  { policy = 'evolvable', draft = draftOf(schema) }: { policy?: Policy; draft?: Draft } = {},
): JsonSchema {
  const whole = policy === 'strict' ? schema : readerView(schema, draft)
  if (needs.length === 0 || typeof whole === 'boolean') return whole
  const projection: Projection = { references: readReferences(whole), draft, open: new Set() }
  const paths = needs.map((need) => need.split('.'))
  const view = project(whole, paths, projection)
  if (typeof view === 'boolean') return view
  const made = extractSchema(view, projection.references, draft)
  const container = isOldDraft(draft) ? 'definitions' : '$defs'
  const { [container]: definitions, ...rest } = made
  return isJsonObject(definitions) && Object.keys(definitions).length > 0 ? made : rest
}

/** The view that a consumer has of one event, given the event's schema in the version that its entry was written against. */
export function consumerView(
  consumed: ConsumedEvent,
  schema: JsonSchema,
  policy: Policy = 'evolvable',
): JsonSchema {
  const { needs, needsSchema } = consumed
  if (needsSchema === undefined) return needView(schema, needs, { policy })
  return policy === 'strict' ? needsSchema : readerView(needsSchema)
}

/**
 * Event → what the consumer reads of it, for every event of its entry that `contract` (the version named by `since`)
 * defines.
 */
export function consumerViews(consumer: Consumer, contract: Contract): Record<string, JsonSchema> {
  const { policy } = contract.evolution
  return Object.fromEntries(
    Object.entries(consumer.events).flatMap(([name, consumed]) => {
      const event = contract.events[name]
      return event === undefined ? [] : [[name, consumerView(consumed, event.schema, policy)]]
    }),
  )
}

function project(node: JsonSchema, paths: readonly Path[], projection: Projection): JsonSchema {
  if (typeof node === 'boolean' || paths.some((path) => path.length === 0)) return node
  const { references, draft, open } = projection
  const parts: JsonSchema[] = []
  const target = typeof node.$ref === 'string' ? references.resolve(node, node.$ref) : undefined
  const isCircle = isJsonObject(target) && open.has(target)
  if (target !== undefined && !isCircle) {
    if (isJsonObject(target)) open.add(target)
    parts.push(project(target, paths, projection))
    if (isJsonObject(target)) open.delete(target)
  }
  if (typeof node.$ref === 'string' && isOldDraft(draft)) return conjunction(parts)
  parts.push(own(node, paths, projection))
  for (const part of schemaList(node.allOf)) parts.push(project(part, paths, projection))
  const { then: thenBranch, else: elseBranch } = node
  const unions = [node.anyOf, node.oneOf, [thenBranch ?? true, elseBranch ?? true]]
  for (const union of unions) {
    const branches = schemaList(union).map((branch) => project(branch, paths, projection))
    if (branches.length > 0 && !branches.some(saysNothing)) parts.push({ anyOf: branches })
  }
  return conjunction(parts)
}

/** What the keywords of one object say about the paths. */
function own(node: JsonObject, paths: readonly Path[], projection: Projection): JsonSchema {
  // Whoever steps into the value relies on its being an object or a list.
  const view: Record<string, Json> = node.type === undefined ? {} : { type: node.type }
  const below: Projection = { ...projection, open: new Set() }
  const properties: Record<string, Json> = {}
  const required: string[] = []
  const names = new Set(paths.map(([name]) => name as string))
  for (const name of names) {
    const tails = paths.filter(([head]) => head === name).map(([, ...tail]) => tail)
    const child = conjunction(fieldsOf(node, name).map((field) => project(field, tails, below)))
    if (!saysNothing(child)) properties[name] = child
    if (Array.isArray(node.required) && node.required.includes(name)) required.push(name)
    if (isIndex(name)) Object.assign(view, itemsOf(node, name, tails, below))
  }
  if (Object.keys(properties).length > 0) view.properties = properties
  if (required.length > 0) view.required = required
  return view
}

/** The schemas that judge the member of this name. */
function fieldsOf(node: JsonObject, name: string): JsonSchema[] {
  const { properties, patternProperties, additionalProperties } = node
  const found: JsonSchema[] = []
  if (isJsonObject(properties) && Object.hasOwn(properties, name)) {
    found.push(properties[name] as JsonSchema)
  }
  for (const [pattern, schema] of Object.entries(
    isJsonObject(patternProperties) ? patternProperties : {},
  )) {
    if (matches(pattern, name)) found.push(schema as JsonSchema)
  }
  if (found.length === 0 && isJsonObject(additionalProperties)) found.push(additionalProperties)
  return found
}

/** Keywords about the items of a list: `*` steps into all of them, a number into one. */
function itemsOf(
  node: JsonObject,
  name: string,
  tails: readonly Path[],
  projection: Projection,
): JsonObject {
  const { items, prefixItems } = node
  const view = (schema: Json) => project(schema as JsonSchema, tails, projection)
  const made: Record<string, Json> = {}
  for (const [keyword, list] of Object.entries({ prefixItems, items })) {
    if (Array.isArray(list)) {
      made[keyword] = list.map((item, at) =>
        name === '*' || at === Number(name) ? view(item) : {},
      )
    } else if (keyword === 'items' && isJsonObject(items)) made.items = view(items)
  }
  return made
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name)
  } catch {
    return false
  }
}

const schemaList = (value: Json | undefined | readonly unknown[]): JsonSchema[] =>
  Array.isArray(value) ? (value as JsonSchema[]) : []

const saysNothing = (schema: JsonSchema) =>
  schema === true || (typeof schema === 'object' && Object.keys(schema).length === 0)

function conjunction(parts: readonly JsonSchema[]): JsonSchema {
  const said = parts.filter((part) => !saysNothing(part))
  if (said.length === 0) return {}
  return said.length === 1 ? (said[0] as JsonSchema) : { allOf: said }
}
