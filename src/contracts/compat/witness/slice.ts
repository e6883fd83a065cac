import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { JsonSchema } from '../../model.ts'
import { isRisky, matches } from '../automata/match.ts'
import { dynamicTarget, enterScope, type Scope, scopeKey } from '../evaluate.ts'
import { members, own, pointerToken, setOwn } from '../formula/canonical.ts'
import { type Draft, refHidesSiblings, shapesOf } from '../load/dialect.ts'
import { childPlace, resolveReference } from '../load/references.ts'
import { type Document, type Place, subschemas } from '../load/resources.ts'

/**
 * The part of a schema that can have a say on one value, as a schema that judges this value alike:
 * without `properties` of names that the value nowhere has, without what speaks of items or members
 * if it has none, without annotations, and with every reference, dynamic ones too, led to a
 * definition of its own. Compiling a validator costs more than a proof; for a slice it costs little,
 * and what a validator may get wrong about identifiers does not matter. Patterns on which
 * backtracking may run away are replaced by the texts of the value that match.
 *
 * Undefined where a part is written in another draft than the whole.
 */
export function sliceFor(document: Document, value: Json): JsonSchema | undefined {
  return new Slicer(document, value).slice()
}

const ofItems: ReadonlySet<string> = new Set([
  'items',
  'prefixItems',
  'additionalItems',
  'unevaluatedItems',
  'uniqueItems',
])
const ofMembers: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'additionalProperties',
  'unevaluatedProperties',
  'propertyNames',
])
const references = ['$ref', '$dynamicRef', '$recursiveRef'] as const
/** Said otherwise in a slice, or not at all. */
const dropped: ReadonlySet<string> = new Set([
  ...references,
  '$schema',
  '$id',
  'id',
  '$anchor',
  '$dynamicAnchor',
  '$recursiveAnchor',
  '$vocabulary',
  '$defs',
  'definitions',
])

interface Part {
  readonly place: Place
  readonly scope: Scope
}

class Slicer {
  readonly #document: Document
  readonly #names = new Set<string>()
  readonly #texts = new Set<string>()
  #hasItems = false
  /** Place and scope → name of its definition. */
  readonly #definitions = new Map<string, string>()
  readonly #queue: (Part & { readonly name: string })[] = []
  #mixed = false

  constructor(document: Document, value: Json) {
    this.#document = document
    const queue: Json[] = [value]
    for (let at = 0; at < queue.length; at += 1) {
      const part = queue[at] as Json
      if (typeof part === 'string') this.#texts.add(part)
      else if (Array.isArray(part)) {
        this.#hasItems ||= part.length > 0
        queue.push(...part)
      } else if (isJsonObject(part)) {
        for (const [key, member] of members(part)) {
          this.#names.add(key)
          this.#texts.add(key)
          queue.push(member)
        }
      }
    }
  }

  slice(): JsonSchema | undefined {
    const { root } = this.#document
    const whole = this.#schema({ place: root, scope: enterScope(new Map(), root.resource) })
    if (typeof whole === 'boolean') return whole
    const definitions: Record<string, Json> = {}
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop())
      definitions[next.name] = this.#schema(next)
    if (this.#mixed) return undefined
    if (Object.keys(definitions).length === 0) return whole
    const result = { ...whole, [this.#keyword]: definitions }
    return refHidesSiblings(root.resource.draft) && '$ref' in whole
      ? { allOf: [whole], [this.#keyword]: definitions }
      : result
  }

  get #keyword(): '$defs' | 'definitions' {
    return shapesOf(this.#document.root.resource.draft).has('$defs') ? '$defs' : 'definitions'
  }

  #schema(part: Part): JsonSchema {
    const { schema, resource } = part.place
    if (typeof schema === 'boolean') return schema
    this.#mixed ||= resource.draft !== this.#document.root.resource.draft
    const shapes = shapesOf(resource.draft)
    const led = references.flatMap((keyword) => {
      const reference = shapes.has(keyword) ? own(schema, keyword) : undefined
      return typeof reference === 'string' ? [this.#lead(part, keyword, reference)] : []
    })
    if (led.length > 0 && refHidesSiblings(resource.draft)) return led[0] as JsonObject
    const result: Record<string, Json> = {}
    for (const [keyword, value] of members(schema)) {
      if (dropped.has(keyword) || !shapes.has(keyword) || this.#isIdle(keyword)) continue
      result[keyword] = this.#inner(part, keyword, value)
    }
    const chosen = this.#document.usesUnevaluated ? plainly(result, resource.draft) : result
    return this.#withAll(this.#withoutRisk(chosen), led)
  }

  /** True for keywords that speak of items or members where the value has none. */
  #isIdle(keyword: string): boolean {
    return (
      (!this.#hasItems && ofItems.has(keyword)) ||
      (this.#names.size === 0 && ofMembers.has(keyword))
    )
  }

  /** A reference to the definition that stands for what is referred to. */
  #lead({ place, scope }: Part, keyword: string, reference: string): JsonObject {
    const target = resolveReference(place.resource, reference)
    if ('problem' in target) return {}
    const next = keyword === '$ref' ? target.place : dynamicTarget(target, scope)
    const inner = enterScope(scope, next.resource)
    const key = `${next.resource.uri} ${next.pointer} ${scopeKey(inner)}`
    const name = this.#definitions.get(key) ?? `d${this.#definitions.size}`
    if (!this.#definitions.has(key)) {
      this.#definitions.set(key, name)
      this.#queue.push({ place: next, scope: inner, name })
    }
    return { $ref: `#/${this.#keyword}/${name}` }
  }

  #inner(part: Part, keyword: string, value: Json): Json {
    const parts = subschemas(keyword, value)
    if (parts.length === 0) return value
    const slice = (path: string, schema: Json): Json => {
      const place = childPlace(part.place, path, schema)
      return this.#schema({ place, scope: enterScope(part.scope, place.resource) })
    }
    if (Array.isArray(value))
      return (value as readonly Json[]).map((schema, index) =>
        slice(`/${keyword}/${index}`, schema),
      )
    if (parts.length === 1 && parts[0]?.[0] === `/${keyword}`) return slice(`/${keyword}`, value)
    const kept: Record<string, Json> = {}
    for (const [name, schema] of members(value as JsonObject)) {
      if (keyword === 'properties' && !this.#names.has(name)) continue
      setOwn(
        kept,
        name,
        Array.isArray(schema) ? schema : slice(`/${keyword}/${pointerToken(name)}`, schema),
      )
    }
    return kept
  }

  #withAll(schema: JsonObject, more: readonly JsonSchema[]): JsonObject {
    const [only] = more
    if (only === undefined) return schema
    if (more.length === 1 && isJsonObject(only)) return { ...schema, ...only }
    return withParts(schema, more)
  }

  #withoutRisk(schema: JsonObject): JsonObject {
    const pattern = own(schema, 'pattern')
    if (typeof pattern !== 'string' || !isRisky(pattern)) return schema
    const { pattern: _, ...rest } = schema
    const matching = [...this.#texts].filter((text) => matches(pattern, text))
    const others = { type: ['null', 'boolean', 'number', 'array', 'object'] }
    const texts = matching.length === 0 ? others : { anyOf: [others, { enum: matching }] }
    return withParts(rest as JsonObject, [texts])
  }
}

function withParts(schema: JsonObject, parts: readonly Json[]): JsonObject {
  return {
    ...schema,
    allOf: [...((own(schema, 'allOf') as readonly Json[] | undefined) ?? []), ...parts],
  }
}

/** Says otherwise what Ajv loses count of when it looks for what has been evaluated. */
function plainly(schema: Record<string, Json>, draft: Draft): JsonObject {
  return withoutContains(withoutIf(schema), draft)
}

/** The same choice as a union: Ajv loses count of what a lone `if` or `else` evaluates. */
function withoutIf(schema: JsonObject): JsonObject {
  const { if: condition, then = true, else: otherwise = true, ...rest } = schema
  if (condition === undefined) return rest as JsonObject
  const choice = {
    anyOf: [{ allOf: [condition, then] }, { allOf: [{ not: condition }, otherwise] }],
  }
  return withParts(rest as JsonObject, [choice])
}

/**
 * `contains` where it evaluates nothing, and its items named beside `unevaluatedItems` where the
 * draft says that they are evaluated: Ajv takes all items for evaluated.
 */
function withoutContains(schema: JsonObject, draft: Draft): JsonObject {
  const { contains, minContains, maxContains, ...rest } = schema
  if (contains === undefined) return schema
  const limits = Object.entries({ contains, minContains, maxContains }).filter(
    ([, value]) => value !== undefined,
  )
  const hidden = { not: { not: Object.fromEntries(limits) as JsonObject } }
  const { unevaluatedItems } = rest
  const counts = draft === '2020-12' && unevaluatedItems !== undefined
  const others = counts
    ? { ...rest, unevaluatedItems: { anyOf: [unevaluatedItems, contains] } }
    : rest
  return withParts(others as JsonObject, [hidden])
}
