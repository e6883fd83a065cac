import type { JsonSchema } from '../../contracts/index.ts'
import { readReferences } from '../../contracts/index.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Dice } from './dice.ts'

/** No value satisfies what was asked at this place, with the choices made so far. */
export class Impossible extends Error {
  override readonly name = 'Impossible'
  readonly pointer: string

  constructor(pointer: string, reason: string) {
    super(reason)
    this.pointer = pointer
  }
}

/** Follows references within one schema. */
export interface Resolver {
  /** @throws Impossible when it points nowhere */
  follow(node: JsonObject, reference: string): JsonSchema
}

export function createResolver(root: JsonSchema): Resolver {
  const references = isJsonObject(root) ? readReferences(root) : undefined
  return {
    follow(node, reference) {
      const target = references?.resolve(node, reference)
      if (target === undefined)
        throw new Impossible('', `the reference "${reference}" points nowhere`)
      return target
    },
  }
}

export interface FlattenOptions {
  readonly resolver: Resolver
  readonly luck: Dice
  readonly pointer: string
  /** Deep down, branches that end soon are preferred, else a recursive schema never ends. */
  readonly isDeep: boolean
}

/** A guard against schemas that refer to themselves without an object or array between. */
const conjunctsMax = 500

/** True for a branch that leads to no further object or array. */
function endsSoon(branch: unknown, options: FlattenOptions, depth = 0): boolean {
  if (!isJsonObject(branch)) return true
  if (typeof branch.$ref === 'string') {
    if (depth > 4) return false
    return endsSoon(options.resolver.follow(branch, branch.$ref), options, depth + 1)
  }
  const { type } = branch
  if (branch.enum !== undefined || branch.const !== undefined) return true
  if (Array.isArray(branch.required) && branch.required.length > 0) return false
  if (typeof branch.minItems === 'number' && branch.minItems > 0) return false
  if (type !== undefined) return true
  return branch.properties === undefined && branch.items === undefined
}

function chooseBranch(branches: readonly unknown[], options: FlattenOptions): JsonSchema {
  const possible = branches.filter((branch) => branch !== false)
  const short = options.isDeep ? possible.filter((each) => endsSoon(each, options)) : []
  const chosen = options.luck.pick(short.length > 0 ? short : possible)
  if (chosen === undefined) throw new Impossible(options.pointer, 'no branch can be satisfied')
  return chosen as JsonSchema
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Schemas that a schema asks for at the same place, with a choice made where it leaves one. */
function demandsOf(schema: JsonObject, options: FlattenOptions): JsonSchema[] {
  const { resolver, luck } = options
  const demands: JsonSchema[] = []
  for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef'] as const) {
    const reference = schema[keyword]
    if (typeof reference === 'string') demands.push(resolver.follow(schema, reference))
  }
  demands.push(...(listOf(schema.allOf) as JsonSchema[]))
  for (const list of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(list)) demands.push(chooseBranch(list, options))
  }
  if (schema.if !== undefined && (schema.then !== undefined || schema.else !== undefined)) {
    const takesThen = schema.then !== false && (schema.else === false || luck.chance(0.5))
    // That the `if` fails in the other case is left to luck and to the check at the end.
    demands.push(...((takesThen ? [schema.if, schema.then] : [schema.else]) as JsonSchema[]))
  }
  return demands.filter((demand) => demand !== undefined && demand !== true)
}

/**
 * All schemas that hold at one place, as a flat list: references followed, `allOf` opened, one branch of
 * each `anyOf` and `oneOf` chosen, one side of each `if` taken.
 *
 * @throws Impossible when one of them is `false`
 */
export function flatten(schemas: readonly JsonSchema[], options: FlattenOptions): JsonObject[] {
  const flat = new Set<JsonObject>()
  const todo = [...schemas]
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    if (next === false) throw new Impossible(options.pointer, 'a schema that is false')
    if (next === true || flat.has(next)) continue
    flat.add(next)
    if (flat.size > conjunctsMax) throw new Impossible(options.pointer, 'a schema without an end')
    // In the drafts where a reference stands alone its neighbours mean nothing; elsewhere they hold too.
    todo.push(...demandsOf(next, options))
  }
  return [...flat]
}
