/** A semantic version, taken apart. Build metadata has no rank and is left out. */
export interface SemanticVersion {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** Dot-separated identifiers of a pre-release; empty for a release. */
  readonly prerelease: readonly (string | number)[]
}

const versionPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*))*))?(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?$/

/** Takes `1.2.3-rc.1+build` apart; undefined when the text is no semantic version. @see https://semver.org 2.0.0 */
export function parseVersion(text: string): SemanticVersion | undefined {
  if (text.length > 256) return undefined
  const found = versionPattern.exec(text)
  if (!found) return undefined
  const prerelease = (found[4]?.split('.') ?? []).map((part) =>
    /^\d+$/.test(part) ? Number(part) : part,
  )
  return { major: Number(found[1]), minor: Number(found[2]), patch: Number(found[3]), prerelease }
}

function comparePrerelease(
  a: readonly (string | number)[],
  b: readonly (string | number)[],
): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const left = a[at] as string | number
    const right = b[at] as string | number
    if (left === right) continue
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
    return left < right ? -1 : 1
  }
  return a.length - b.length
}

/** Negative, zero or positive as `a` ranks before, with or after `b` (semver 2.0.0, section 11). */
export function compareVersions(a: SemanticVersion, b: SemanticVersion): number {
  return (
    a.major - b.major ||
    a.minor - b.minor ||
    a.patch - b.patch ||
    comparePrerelease(a.prerelease, b.prerelease)
  )
}

interface Comparator {
  readonly operator: '<' | '<=' | '>' | '>=' | '='
  readonly version: SemanticVersion
  /** True for a pre-release that somebody wrote, not one that only marks where a range ends. */
  readonly namesPrerelease: boolean
}

/** A version range: any of its sets must hold as a whole. An empty set holds for every release. */
export type VersionRange = readonly (readonly Comparator[])[]

interface Partial {
  readonly parts: readonly number[]
  readonly prerelease: readonly (string | number)[]
}

const partialPattern =
  /^v?(\d+|[xX*])(?:\.(\d+|[xX*])(?:\.(\d+|[xX*])(?:-([\dA-Za-z.-]+))?(?:\+[\dA-Za-z.-]+)?)?)?$/

function parsePartial(text: string): Partial | undefined {
  const found = partialPattern.exec(text)
  if (!found) return undefined
  const parts: number[] = []
  for (const part of [found[1], found[2], found[3]]) {
    if (part === undefined || !/^\d+$/.test(part)) break
    parts.push(Number(part))
  }
  const written = [found[1], found[2], found[3]].filter((part) => part !== undefined)
  const isGap = written.slice(parts.length).some((part) => /^\d+$/.test(part))
  if (isGap || (found[4] !== undefined && parts.length < 3)) return undefined
  const prerelease = (found[4]?.split('.') ?? []).map((part) =>
    /^\d+$/.test(part) ? Number(part) : part,
  )
  return { parts, prerelease }
}

function floor({ parts, prerelease }: Partial): SemanticVersion {
  return { major: parts[0] ?? 0, minor: parts[1] ?? 0, patch: parts[2] ?? 0, prerelease }
}

/** The least version above every version that shares the first `count` parts, pre-releases of it excluded too. */
function next({ parts }: Partial, count: number): SemanticVersion {
  const raised = [0, 1, 2].map((at) =>
    at < count - 1 ? (parts[at] ?? 0) : at === count - 1 ? (parts[at] ?? 0) + 1 : 0,
  )
  const [major, minor, patch] = raised as [number, number, number]
  return { major, minor, patch, prerelease: [0] }
}

function between(low: SemanticVersion, high: SemanticVersion): Comparator[] {
  return [
    { operator: '>=', version: low, namesPrerelease: low.prerelease.length > 0 },
    { operator: '<', version: high, namesPrerelease: false },
  ]
}

function caretCount(parts: readonly number[]): number {
  const firstNonZero = parts.findIndex((part) => part > 0)
  return firstNonZero === -1 ? parts.length : firstNonZero + 1
}

function parseComparator(text: string): Comparator[] | undefined {
  const found = /^(\^|~>?|<=?|>=?|=)?\s*(.+)$/.exec(text)
  const operator = found?.[1] ?? ''
  const partial = parsePartial(found?.[2] ?? '')
  if (!partial) return undefined
  const low = floor(partial)
  const { length } = partial.parts
  const one = (sign: Comparator['operator'], version: SemanticVersion): Comparator[] => [
    { operator: sign, version, namesPrerelease: length === 3 && version.prerelease.length > 0 },
  ]
  if (length === 0) return operator === '<' || operator === '>' ? undefined : []
  if (operator === '^') return between(low, next(partial, caretCount(partial.parts)))
  if (operator.startsWith('~')) return between(low, next(partial, Math.min(length, 2)))
  if (length === 3) return one(operator === '' ? '=' : (operator as Comparator['operator']), low)
  if (operator === '' || operator === '=') return between(low, next(partial, length))
  if (operator === '>') return one('>=', next(partial, length))
  if (operator === '<=') return one('<', next(partial, length))
  if (operator === '<') return one('<', { ...low, prerelease: [0] })
  return one('>=', low)
}

function parseSet(text: string): Comparator[] | undefined {
  const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(text)
  if (hyphen) {
    const from = parseComparator(`>=${hyphen[1]}`)
    const to = parseComparator(`<=${hyphen[2]}`)
    return from && to ? [...from, ...to] : undefined
  }
  const comparators: Comparator[] = []
  for (const part of text.replaceAll(/([<>=^~]+)\s+/g, '$1').split(/\s+/)) {
    const parsed = part === '' ? [] : parseComparator(part)
    if (!parsed) return undefined
    comparators.push(...parsed)
  }
  return comparators
}

/**
 * Reads a version range as npm does: `^1.2`, `~1.2.3`, `1.x`, `>=1 <3`, `1.2 - 2.3`, `a || b`, `*`.
 * Undefined when the text is none.
 */
export function parseRange(text: string): VersionRange | undefined {
  if (text.length > 256 || text.trim() === '') return undefined
  const sets: (readonly Comparator[])[] = []
  for (const part of text.split('||')) {
    const set = parseSet(part.trim())
    if (!set) return undefined
    sets.push(set)
  }
  return sets
}

function holds(version: SemanticVersion, { operator, version: bound }: Comparator): boolean {
  const order = compareVersions(version, bound)
  if (operator === '<') return order < 0
  if (operator === '<=') return order <= 0
  if (operator === '>') return order > 0
  return operator === '>=' ? order >= 0 : order === 0
}

/** A pre-release counts only where the range names a pre-release of the same three numbers, as in npm. */
function admitsPrerelease(version: SemanticVersion, set: readonly Comparator[]): boolean {
  return set.some(
    ({ version: bound, namesPrerelease }) =>
      namesPrerelease &&
      bound.major === version.major &&
      bound.minor === version.minor &&
      bound.patch === version.patch,
  )
}

/** True when the version lies in the range; false also when either text cannot be read. */
export function satisfies(version: string, range: string): boolean {
  const parsed = parseVersion(version)
  const sets = parseRange(range)
  if (!parsed || !sets) return false
  return sets.some(
    (set) =>
      set.every((comparator) => holds(parsed, comparator)) &&
      (parsed.prerelease.length === 0 || admitsPrerelease(parsed, set)),
  )
}
