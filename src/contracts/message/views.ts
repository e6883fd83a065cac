import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { areDisjoint } from '../schema/disjoint-branches.ts'
import type { Draft } from '../schema/draft.ts'
import { draftOf, isOldDraft } from '../schema/draft.ts'
import { rulesKeyword } from '../schema/rules.ts'
import type { References } from '../schema/schema-references.ts'
import { readReferences } from '../schema/schema-references.ts'
import { mapSubschemas } from '../schema/schema-walk.ts'

/** Who looks at a message: the one who sends it, or the one who receives it. */
export type View = 'producer' | 'reader'

/**
 * What a schema is to the object that it describes. `value`: it is all there is to say about it, so it can be closed;
 * `branch`: others speak of the same object (`allOf`, `then` …); `as-is`: changing it could turn a yes into a no
 * (`not`, `if`, `contains`, a `oneOf` whose branches overlap).
 */
type Role = 'value' | 'branch' | 'as-is'

const roleOfKeyword: Readonly<Record<string, Role>> = {
  properties: 'value',
  patternProperties: 'value',
  additionalProperties: 'value',
  unevaluatedProperties: 'value',
  items: 'value',
  prefixItems: 'value',
  additionalItems: 'value',
  unevaluatedItems: 'value',
  allOf: 'branch',
  anyOf: 'branch',
  oneOf: 'branch',
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, in a table that nobody awaits
  then: 'branch',
  else: 'branch',
  dependentSchemas: 'branch',
  dependencies: 'branch',
}
/** Keywords beside which `additionalProperties` would not see all fields that are declared. */
const inPlaceKeywords = [
  'allOf',
  'anyOf',
  'oneOf',
  'if',
  'then',
  'else',
  'dependentSchemas',
  'dependencies',
  '$ref',
]
const annotations = new Set([
  'title',
  'description',
  '$comment',
  'examples',
  'default',
  'deprecated',
])
const identifiers = ['$id', '$anchor', '$dynamicAnchor', '$schema', 'definitions', '$defs']

class ViewMaker {
  readonly #root: JsonObject
  readonly #draft: Draft
  readonly #view: View
  readonly #references: References
  readonly #names = new Map<JsonObject, Map<Role, string>>()
  readonly #effects = new Map<JsonObject, Map<Role, boolean>>()
  readonly #taken = new Set<string>()
  readonly #booleans = new Set<boolean>()
  readonly #todo: { readonly name: string; readonly node: JsonObject; readonly role: Role }[] = []

  constructor(root: JsonObject, draft: Draft, view: View) {
    this.#root = root
    this.#draft = draft
    this.#view = view
    this.#references = readReferences(root)
  }

  make(): JsonObject {
    this.#names.set(this.#root, new Map([['value', '#']]))
    const made = this.#change(this.#root, 'value') as Record<string, Json>
    const definitions: Record<string, Json> = {}
    for (let next = this.#todo.pop(); next !== undefined; next = this.#todo.pop()) {
      definitions[next.name] = this.#change(next.node, next.role)
    }
    for (const value of this.#booleans) definitions[String(value)] = value
    const { $schema, $id } = this.#root
    return {
      ...($schema === undefined ? {} : { $schema }),
      ...($id === undefined ? {} : { $id }),
      ...made,
      ...(Object.keys(definitions).length === 0 ? {} : { [this.#container]: definitions }),
    }
  }

  get #container(): string {
    return isOldDraft(this.#draft) ? 'definitions' : '$defs'
  }

  /** Where the node in this role stands in the view, as a reference. */
  #reference(node: JsonSchema, wanted: Role): string {
    if (typeof node === 'boolean') {
      this.#booleans.add(node)
      return `#/${this.#container}/${node}`
    }
    const isOpened = this.#view === 'reader' && wanted === 'branch'
    const role = !this.#hasEffect(node, wanted) ? 'as-is' : isOpened ? 'value' : wanted
    const names = this.#names.get(node) ?? new Map<Role, string>()
    this.#names.set(node, names)
    const known = names.get(role)
    if (known !== undefined) return known
    const stem = role === 'value' ? 'closed' : role
    let name = this.#view === 'reader' && role !== 'as-is' ? 'opened' : stem
    name = `${name}-${this.#taken.size + 1}`
    this.#taken.add(name)
    names.set(role, `#/${this.#container}/${name}`)
    this.#todo.push({ name, node, role })
    return `#/${this.#container}/${name}`
  }

  #change(node: JsonObject, role: Role): JsonObject {
    const { $ref } = node
    const target = typeof $ref === 'string' ? this.#references.resolve(node, $ref) : undefined
    if (typeof $ref === 'string' && isOldDraft(this.#draft)) {
      return { $ref: target === undefined ? $ref : this.#reference(target, role) }
    }
    const { definitions: _old, $defs: _new, ...rest } = node
    const made = mapSubschemas(rest, (child, keyword) =>
      this.#change(child, this.#roleOf(role, keyword, node)),
    )
    for (const keyword of identifiers) delete made[keyword]
    if (isOldDraft(this.#draft)) {
      delete made.unevaluatedProperties
      delete made.unevaluatedItems
      if (this.#draft === '04') delete made.id
    }
    if (target)
      made.$ref = this.#reference(
        target,
        isPureReference(node) ? role : role === 'as-is' ? role : 'branch',
      )
    if (role === 'as-is') return made as JsonObject
    if (this.#view === 'reader') open(made)
    else this.#close(made, node, role)
    return made as JsonObject
  }

  #roleOf(role: Role, keyword: string, node: JsonObject): Role {
    if (role === 'as-is') return 'as-is'
    if (keyword !== 'oneOf') return roleOfKeyword[keyword] ?? 'as-is'
    // Branches that overlap only by extra fields would come apart, or the reverse: being closed may be all that tells them apart.
    // Where a type or a field does, as in `oneOf: [thing, null]`, opening and closing leave them apart.
    return this.#areDisjoint(node) ? 'branch' : 'as-is'
  }

  #areDisjoint(node: JsonObject): boolean {
    return Array.isArray(node.oneOf) && areDisjoint(node.oneOf, this.#references, this.#draft)
  }

  #close(made: Record<string, unknown>, node: JsonObject, role: Role): void {
    if (Array.isArray(node.oneOf) && !this.#areDisjoint(node)) {
      const branches = node.oneOf.filter((branch) => branch !== false)
      if (branches.some((branch) => isJsonObject(branch) && this.#hasEffect(branch, 'branch'))) {
        // The branches as they are decide which one it is; that one's closed form must hold too.
        const anyOf = branches.map((branch) =>
          isJsonObject(branch) ? this.#change(branch, 'branch') : branch,
        )
        made.allOf = [...(Array.isArray(made.allOf) ? made.allOf : []), { anyOf }]
      }
    }
    const rules = node[rulesKeyword]
    if (Array.isArray(rules)) {
      made[rulesKeyword] = rules.map((rule) =>
        isJsonObject(rule) && rule.listed !== undefined ? { ...rule, closed: true } : rule,
      )
    }
    if (role === 'value' && this.#isClosable(node)) {
      const isAlone = inPlaceKeywords.every((keyword) => node[keyword] === undefined)
      made[isAlone ? 'additionalProperties' : 'unevaluatedProperties'] = false
    }
  }

  #isClosable(node: JsonObject): boolean {
    const isWritten =
      node.additionalProperties !== undefined || node.unevaluatedProperties !== undefined
    if (isWritten || isPureReference(node)) return false
    return this.#declaresFields(node, new Set())
  }

  /** True when the schema, or one that speaks of the same object, names fields: otherwise it describes a map. */
  #declaresFields(node: JsonObject, seen: Set<JsonObject>): boolean {
    if (seen.has(node)) return false
    seen.add(node)
    const target =
      typeof node.$ref === 'string' ? this.#references.resolve(node, node.$ref) : undefined
    if (isJsonObject(target) && this.#declaresFields(target, seen)) return true
    if (target !== undefined && isOldDraft(this.#draft)) return false
    if (isJsonObject(node.properties) && Object.keys(node.properties).length > 0) return true
    const lists = [node.allOf, node.anyOf, node.oneOf].flatMap((list) =>
      Array.isArray(list) ? list : [],
    )
    const maps = [node.dependentSchemas, node.dependencies].flatMap((map) =>
      isJsonObject(map) ? Object.values(map) : [],
    )
    return [...lists, ...maps, node.if, node.then, node.else].some(
      (branch) => isJsonObject(branch) && this.#declaresFields(branch, seen),
    )
  }

  /** True when the view changes something in the node or in what it reaches, so that a copy of its own is needed. */
  #hasEffect(node: JsonObject, role: Role): boolean {
    if (role === 'as-is') return false
    const known = this.#effects.get(node)?.get(role)
    if (known !== undefined) return known
    const seen = new Map<JsonObject, Set<Role>>()
    const todo: [JsonObject, Role][] = [[node, role]]
    let found = false
    for (let next = todo.pop(); next !== undefined && !found; next = todo.pop()) {
      const [at, as] = next
      const roles = seen.get(at) ?? new Set<Role>()
      if (as === 'as-is' || roles.has(as)) continue
      seen.set(at, roles.add(as))
      found = this.#changesItself(at, as)
      this.#reach(at, as, (child, childRole) => todo.push([child, childRole]))
    }
    const effects = this.#effects.get(node) ?? new Map<Role, boolean>()
    this.#effects.set(node, effects.set(role, found))
    return found
  }

  #changesItself(node: JsonObject, role: Role): boolean {
    if (this.#view === 'reader') {
      return node.additionalProperties === false || node.unevaluatedProperties === false
    }
    return node[rulesKeyword] !== undefined || (role === 'value' && this.#isClosable(node))
  }

  #reach(node: JsonObject, role: Role, visit: (child: JsonObject, role: Role) => void): void {
    if (typeof node.$ref === 'string') {
      const target = this.#references.resolve(node, node.$ref)
      if (isJsonObject(target))
        visit(target, isPureReference(node) || isOldDraft(this.#draft) ? role : 'branch')
      if (isOldDraft(this.#draft)) return
    }
    mapSubschemas(node, (child, keyword) => {
      const isOverlapping = keyword === 'oneOf' && this.#view === 'producer'
      visit(child, isOverlapping ? 'branch' : this.#roleOf(role, keyword, node))
      return true
    })
  }
}

/** True where nothing but a reference says what the value is. */
function isPureReference(node: JsonObject): boolean {
  if (typeof node.$ref !== 'string') return false
  return Object.keys(node).every(
    (keyword) => keyword === '$ref' || annotations.has(keyword) || identifiers.includes(keyword),
  )
}

function open(made: Record<string, unknown>): void {
  if (made.additionalProperties === false) delete made.additionalProperties
  if (made.unevaluatedProperties === false) delete made.unevaluatedProperties
}

const memo = new WeakMap<object, Map<string, JsonSchema>>()

/**
 * The schema as one side sees it; memoised by object.
 *
 * Accepted by the producer's view ⇒ accepted by the schema ⇒ accepted by the reader's view.
 */
export function viewOf(schema: JsonSchema, view: View, draft: Draft = draftOf(schema)): JsonSchema {
  if (typeof schema === 'boolean') return schema
  const views = memo.get(schema) ?? new Map<string, JsonSchema>()
  memo.set(schema, views)
  const known = views.get(`${view} ${draft}`)
  if (known !== undefined) return known
  // What a dynamic reference means depends on the way that led to it: such a schema is taken as written.
  const isDynamic = /"\$(?:dynamicRef|recursiveRef)"/.test(JSON.stringify(schema))
  const made = isDynamic ? schema : new ViewMaker(schema, draft, view).make()
  views.set(`${view} ${draft}`, made)
  return made
}

/**
 * The schema with every object closed that declares fields and says nothing about others, wherever a value stands:
 * root, fields, items. A map (no declared fields) stays open, and so does what is under `not`, `if` and `contains`. In drafts
 * before 2019-09 the view uses `unevaluatedProperties` all the same: compile it with `unevaluated: true`.
 */
export function producerView(schema: JsonSchema, draft?: Draft): JsonSchema {
  return viewOf(schema, 'producer', draft)
}

/**
 * The schema without its `additionalProperties: false` and `unevaluatedProperties: false`, except under `not`, `if`, `contains` and in
 * branches of `oneOf` that neither a type nor a field tells apart, where opening could refuse what was accepted.
 */
export function readerView(schema: JsonSchema, draft?: Draft): JsonSchema {
  return viewOf(schema, 'reader', draft)
}
