import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Draft } from './draft.ts'
import type { References } from './schema-references.ts'

const allKinds = ['array', 'object', 'number', 'string', 'boolean', 'null']

function kindsOf(branch: JsonObject): ReadonlySet<string> {
  const { type } = branch
  const names =
    typeof type === 'string' ? [type] : Array.isArray(type) ? (type as string[]) : allKinds
  return new Set(names.map((name) => (name === 'integer' ? 'number' : name)))
}

/** The scalars that a schema admits, as JSON, where it lists them. */
export function listedScalars(schema: Json | undefined): ReadonlySet<string> | undefined {
  if (!isJsonObject(schema)) return undefined
  const values = schema.const === undefined ? schema.enum : [schema.const]
  if (
    !Array.isArray(values) ||
    values.some((value) => typeof value === 'object' && value !== null)
  ) {
    return undefined
  }
  return new Set(values.map((value) => JSON.stringify(value)))
}

function areApart(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return [...a].every((item) => !b.has(item))
}

/** True where a field that both require tells the two apart: `{ kind: { const: 'card' } }` from `{ kind: { const: 'cash' } }`. */
function haveDiscriminator(a: JsonObject, b: JsonObject, draft: Draft): boolean {
  if (!isJsonObject(a.properties) || !isJsonObject(b.properties)) return false
  const valuesOf = (field: Json | undefined) =>
    // Draft-04 does not know the keyword: there it tells nothing apart.
    draft === '04' && isJsonObject(field) && field.const !== undefined
      ? undefined
      : listedScalars(field)
  const requiredOf = (branch: JsonObject) => (Array.isArray(branch.required) ? branch.required : [])
  const both = requiredOf(a).filter((name) => requiredOf(b).includes(name))
  for (const name of both) {
    const inA = valuesOf(a.properties[String(name)])
    const inB = valuesOf(b.properties[String(name)])
    if (inA && inB && areApart(inA, inB)) return true
  }
  return false
}

/**
 * True when it is plain that no value can match two of the branches, by their types or by a field that tells them
 * apart; false where it is not plain. Then `oneOf` means the same as `anyOf`.
 */
export function areDisjoint(
  branches: readonly Json[],
  references: References,
  draft: Draft,
): boolean {
  const resolved = branches.map((branch) => {
    let node: Json = branch
    for (
      let hops = 0;
      hops < 20 && isJsonObject(node) && typeof node.$ref === 'string';
      hops += 1
    ) {
      node = references.resolve(node, node.$ref) ?? null
    }
    return node
  })
  return resolved.every((a, at) =>
    resolved.slice(at + 1).every((b) => {
      if (a === false || b === false) return true
      if (!isJsonObject(a) || !isJsonObject(b)) return false
      const shared = [...kindsOf(a)].filter((kind) => kindsOf(b).has(kind))
      return shared.length === 0 || (shared.join() === 'object' && haveDiscriminator(a, b, draft))
    }),
  )
}
