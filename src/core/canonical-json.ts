import type { Json, JsonObject } from './json.ts'

/**
 * The one JSON text of a value: no white space, keys ordered by UTF-16 code units, numbers and texts as ECMAScript
 * writes them. Equal values give equal text, so a digest over it stands for the content. Members that are undefined are left out.
 *
 * @see RFC 8785 (JSON Canonicalization Scheme); text that is not well-formed UTF-16 is escaped instead of refused.
 */
export function canonicalJson(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  const members = Object.keys(value)
    .sort()
    .flatMap((key) => member(value, key))
  return `{${members.join(',')}}`
}

function member(object: JsonObject, key: string): string[] {
  const value = object[key]
  return value === undefined ? [] : [`${JSON.stringify(key)}:${canonicalJson(value)}`]
}

function isList(value: JsonObject | readonly Json[]): value is readonly Json[] {
  return Array.isArray(value)
}
