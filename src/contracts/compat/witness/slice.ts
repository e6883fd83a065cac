import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { JsonSchema } from '../../model.ts'
import { isRisky, matches } from '../automata/match.ts'
import { members, own, pointerToken } from '../formula/canonical.ts'
import { shapesOf } from '../load/dialect.ts'
import { resolveReference } from '../load/references.ts'
import { type Document, type Resource, subschemas } from '../load/resources.ts'

/**
 * The part of a schema that can have a say on one value, as a schema that judges this value alike:
 * without `properties` of names that the value nowhere has, without what speaks of items or members
 * if it has none, without annotations, and without definitions that nothing left refers to. Compiling a validator costs more than a proof; for a slice it costs little.
 * Patterns on which backtracking may run away are replaced by the texts of the value that match.
 */
export function sliceFor(document: Document, value: Json): JsonSchema {
  const { raw } = document
  if (!isJsonObject(raw)) return raw
  const slicer = new Slicer(document, value)
  return slicer.slice()
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

class Slicer {
  readonly #document: Document
  readonly #names = new Set<string>()
  readonly #texts = new Set<string>()
  #hasItems = false
  /** Pointers of what is referred to, and of everything above it. */
  readonly #needed = new Set<string>()
  #grown = true

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

  /** Slices again until no reference leads to what was left out. */
  slice(): JsonSchema {
    const { raw, root } = this.#document
    let result = raw
    for (let round = 0; this.#grown && round < 100; round += 1) {
      this.#grown = false
      result = this.#schema(raw as JsonObject, '', root.resource)
    }
    return this.#grown ? raw : result
  }

  #schema(schema: JsonObject, pointer: string, parent: Resource): JsonObject {
    const resource = this.#document.byPointer.get(pointer) ?? parent
    const shapes = shapesOf(resource.draft)
    const result: Record<string, Json> = {}
    for (const [keyword, value] of members(schema)) {
      if (keyword === '$ref' || keyword === '$dynamicRef' || keyword === '$recursiveRef')
        this.#refer(resource, value)
      // The draft is told apart; naming the meta-schema would load it.
      if (keyword === '$schema') continue
      const isNeeded = this.#needed.has(`${pointer}/${pointerToken(keyword)}`)
      if (!isNeeded && (!shapes.has(keyword) || this.#isIdle(keyword))) continue
      const inner = shapes.has(keyword) ? this.#keyword(keyword, value, pointer, resource) : value
      if (inner !== undefined) result[keyword] = inner
    }
    return this.#withoutRisk(result)
  }

  /** True for keywords that speak of items or members where the value has none. */
  #isIdle(keyword: string): boolean {
    if (this.#document.usesDynamicScope) return false
    return (
      (!this.#hasItems && ofItems.has(keyword)) ||
      (this.#names.size === 0 && ofMembers.has(keyword))
    )
  }

  /** Marks what a reference leads to, so that it is kept. */
  #refer(resource: Resource, reference: Json): void {
    const target = resolveReference(resource, String(reference))
    if ('problem' in target || target.place.resource.document !== this.#document) return
    for (let at = target.place.pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      if (this.#needed.has(at)) return
      this.#needed.add(at)
      this.#grown = true
    }
  }

  #keyword(keyword: string, value: Json, pointer: string, resource: Resource): Json | undefined {
    const parts = subschemas(keyword, value)
    if (parts.length === 0) return value
    const keep = (name: string): boolean => {
      const at = `${pointer}/${keyword}/${pointerToken(name)}`
      if (this.#needed.has(at) || this.#document.usesDynamicScope) return true
      if (keyword === 'properties') return this.#names.has(name)
      return keyword !== '$defs' && keyword !== 'definitions'
    }
    const inner = (part: Json, path: string): Json =>
      isJsonObject(part) ? this.#schema(part, `${pointer}${path}`, resource) : part
    if (Array.isArray(value))
      return (value as readonly Json[]).map((part, index) => inner(part, `/${keyword}/${index}`))
    if (parts.length === 1 && parts[0]?.[0] === `/${keyword}`) return inner(value, `/${keyword}`)
    const kept: Record<string, Json> = {}
    for (const [name, part] of members(value as JsonObject)) {
      if (keep(name)) kept[name] = inner(part, `/${keyword}/${pointerToken(name)}`)
    }
    return kept
  }

  #withoutRisk(schema: Record<string, Json>): JsonObject {
    const pattern = own(schema, 'pattern')
    if (typeof pattern !== 'string' || !isRisky(pattern)) return schema
    const { pattern: _, ...rest } = schema
    const matching = [...this.#texts].filter((text) => matches(pattern, text))
    const others = { type: ['null', 'boolean', 'number', 'array', 'object'] }
    const texts = matching.length === 0 ? others : { anyOf: [others, { enum: matching }] }
    return {
      ...rest,
      allOf: [...((own(schema, 'allOf') as readonly Json[] | undefined) ?? []), texts],
    }
  }
}
