/** A value that JSON can carry (RFC 8259). */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

/** True for a plain JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One reference token of a JSON Pointer, escaped (RFC 6901 section 3). */
export function escapePointer(token: string | number): string {
  return String(token).replaceAll('~', '~0').replaceAll('/', '~1')
}

/** A JSON Pointer from its reference tokens; no tokens give the root, the empty string. */
export function toPointer(path: readonly (string | number)[]): string {
  return path.map((token) => `/${escapePointer(token)}`).join('')
}

/** The reference tokens of a JSON Pointer; undefined when `pointer` is not one. */
export function parsePointer(pointer: string): string[] | undefined {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) return undefined
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value at a dotted path such as `total.amount`; undefined where it is absent. Own properties only. */
export function valueAt(value: unknown, path: string): unknown {
  let current: unknown = value
  for (const name of path.split('.')) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, name)) {
      return undefined
    }
    current = (current as Record<string, unknown>)[name]
  }
  return current
}
