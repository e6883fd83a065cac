import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { listedScalars } from './disjoint-branches.ts'
import type { SchemaError } from './schema-error.ts'
import type { References } from './schema-references.ts'

/** Judges a value by one branch of a union. */
export type JudgeBranch = (branch: JsonObject, value: unknown) => readonly SchemaError[]

/** What may stand beside `oneOf` without errors of its own. */
const silent = new Set([
  'oneOf',
  'anyOf',
  '$schema',
  '$id',
  'id',
  'title',
  'description',
  'definitions',
  '$defs',
  'examples',
  '$comment',
])

function resolveBranch(branch: Json, references: References): JsonObject | undefined {
  let node: Json | undefined = branch
  for (let hops = 0; hops < 20 && isJsonObject(node) && typeof node.$ref === 'string'; hops += 1) {
    node = references.resolve(node, node.$ref)
  }
  return isJsonObject(node) ? node : undefined
}

/** The only branch that a constant in one of the value's fields allows; undefined where none does, or several. */
function meantBranch(branches: readonly JsonObject[], value: JsonObject): JsonObject | undefined {
  const [first] = branches
  if (first === undefined || !isJsonObject(first.properties)) return undefined
  for (const field of Object.keys(first.properties)) {
    const lists = branches.map(({ properties }) =>
      isJsonObject(properties) ? listedScalars(properties[field]) : undefined,
    )
    if (!Object.hasOwn(value, field) || lists.some((list) => list === undefined)) continue
    const allowed = branches.filter((_branch, at) => lists[at]?.has(JSON.stringify(value[field])))
    if (allowed.length === 1) return allowed[0]
  }
  return undefined
}

function isRefinable({ keyword, params, expected, parent, found }: SchemaError): boolean {
  const isUnion =
    keyword === 'anyOf' || (keyword === 'oneOf' && !Array.isArray(params.passingSchemas))
  const refers =
    Array.isArray(expected) &&
    expected.some((branch) => isJsonObject(branch) && branch.$ref !== undefined)
  return (
    isUnion &&
    refers &&
    isJsonObject(found) &&
    isJsonObject(parent) &&
    Object.keys(parent).every((name) => silent.has(name))
  )
}

/**
 * Where a union of references failed and a constant tells which branch was meant, the errors of that branch instead of those of all:
 * Ajv does not say which of the errors behind references belongs to which branch.
 */
export function refineUnions(
  errors: readonly SchemaError[],
  references: References,
  judge: JudgeBranch,
): readonly SchemaError[] {
  let refined = errors
  for (const union of errors) {
    if (!refined.includes(union) || !isRefinable(union)) continue
    const branches = (union.expected as Json[]).map((branch) => resolveBranch(branch, references))
    if (!branches.every((branch) => branch !== undefined)) continue
    const meant = meantBranch(branches, union.found as JsonObject)
    const own = meant === undefined ? [] : judge(meant, union.found)
    if (own.length === 0) continue
    const isOutside = ({ pointer }: SchemaError) =>
      pointer !== union.pointer && !pointer.startsWith(`${union.pointer}/`)
    refined = [
      ...refined.filter(isOutside),
      ...own.map((error) => ({ ...error, pointer: union.pointer + error.pointer })),
    ]
  }
  return refined
}
