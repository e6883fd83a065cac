import type { SchemaError } from './schema-error.ts'

/** The errors of one alternative of `anyOf` or `oneOf`. */
type Branch = readonly SchemaError[]

const isInside = (pointer: string, place: string) =>
  pointer === place || pointer.startsWith(`${place}/`)

/** Branch errors of a union that failed, by the number of the branch; those behind a reference cannot be told and are left out. */
function branchesOf(
  union: SchemaError,
  errors: readonly SchemaError[],
): Map<number, SchemaError[]> {
  const branches = new Map<number, SchemaError[]>()
  for (const error of errors) {
    if (error === union || !isInside(error.pointer, union.pointer)) continue
    if (!error.schemaPath.startsWith(`${union.schemaPath}/`)) continue
    const at = Number.parseInt(error.schemaPath.slice(union.schemaPath.length + 1), 10)
    branches.set(at, [...(branches.get(at) ?? []), error])
  }
  return branches
}

/** How far the value is from a branch: 2 another kind of value, 1 another constant in a field, 0 the branch that was meant. */
function distance(branch: Branch, place: string): number {
  if (branch.some(({ keyword, pointer }) => keyword === 'type' && pointer === place)) return 2
  const isConstant = ({ keyword }: SchemaError) => keyword === 'const' || keyword === 'enum'
  return branch.some((error) => isConstant(error) && error.pointer !== place) ? 1 : 0
}

function foldUnion(union: SchemaError, errors: readonly SchemaError[]): readonly SchemaError[] {
  const branches = [...branchesOf(union, errors).values()]
  const total = Array.isArray(union.expected) ? union.expected.length : 0
  // A branch without errors to be seen stands behind a reference: nothing can be said of it.
  if (branches.length !== total || total === 0) return errors
  const all = new Set(branches.flat())
  const rest = errors.filter((error) => !all.has(error))
  const distances = branches.map((branch) => distance(branch, union.pointer))
  const least = Math.min(...distances)
  if (least === 2) {
    const types = branches
      .flat()
      .filter((error) => error.keyword === 'type' && error.pointer === union.pointer)
    const merged = {
      ...union,
      keyword: 'type',
      expected: [...new Set(types.flatMap(({ expected }) => expected))],
    }
    return rest.map((error) => (error === union ? merged : error))
  }
  const meant = branches.filter((_branch, at) => distances[at] === least)
  const kept = meant.length === 1 ? meant.flat() : [...meant.flat(), union]
  return rest.flatMap((error) => (error === union ? kept : [error]))
}

/**
 * The errors as a reader wants them: where a union failed, the errors of the alternative that was meant, told by the kind of the
 * value or by a constant in one of its fields; where none was, one error that names the kinds.
 */
export function foldUnions(errors: readonly SchemaError[]): readonly SchemaError[] {
  const isUnion = ({ keyword, params }: SchemaError) =>
    keyword === 'anyOf' || (keyword === 'oneOf' && !Array.isArray(params.passingSchemas))
  return errors
    .filter(isUnion)
    .reduce<readonly SchemaError[]>(
      (folded, union) => (folded.includes(union) ? foldUnion(union, folded) : folded),
      errors,
    )
}
