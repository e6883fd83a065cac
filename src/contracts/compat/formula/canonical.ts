import { escapePointer, isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'

/** A value without parts. */
export type Scalar = null | boolean | number | string

export function isScalar(value: Json): value is Scalar {
  return typeof value !== 'object' || value === null
}

/** A text that is equal for equal scalars, and for those only; 1.0 and -0 are 1 and 0. */
export function scalarKey(value: Scalar): string {
  if (typeof value === 'string') return `s${value}`
  if (typeof value === 'number') return `n${value === 0 ? 0 : value}`
  return value === null ? 'z' : value ? 't' : 'f'
}

/** The own members of an object whose value is defined, in their order. */
export function members(value: JsonObject): [string, Json][] {
  const result: [string, Json][] = []
  for (const key of Object.keys(value)) {
    const member = value[key]
    if (member !== undefined) result.push([key, member])
  }
  return result
}

/** The member of this name; undefined where the object has none of its own. */
export function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined
}

/** A text that is equal for values that are equal as JSON, and for those only. Recursive: cap the depth first. */
export function canonicalText(value: Json): string {
  if (isScalar(value)) return typeof value === 'string' ? JSON.stringify(value) : scalarKey(value)
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`
  const entries = members(value as JsonObject).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`).join()}}`
}

/** True when two values are equal as JSON (RFC 8259 values; the order of members does not count). */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true
  if (isScalar(a) || isScalar(b)) return false
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, index) => sameJson(item, b[index] as Json))
    )
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const left = members(a)
  return (
    left.length === members(b).length &&
    left.every(([key, member]) => {
      const other = own(b, key)
      return other !== undefined && sameJson(member, other)
    })
  )
}

/** Sets a member of its own, also where its name is `__proto__`. */
export function setOwn(target: Record<string, Json>, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  } else target[key] = value
}

/** The length of a text in code points, as `minLength` counts (RFC 8259 characters). */
export function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** One reference token of a JSON Pointer, escaped (RFC 6901); nearly all need no escaping. */
export function pointerToken(key: string): string {
  return key.includes('~') || key.includes('/') ? escapePointer(key) : key
}
