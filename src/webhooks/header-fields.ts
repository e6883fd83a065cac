/**
 * Header fields as any server or client gives them: fetch `Headers`, Node's `IncomingHttpHeaders`,
 * or a plain object. Names compare without regard to case.
 */
export type HeaderFields =
  | Headers
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** The one value of a field; `missing` where it is absent or empty, `malformed` where it comes more than once. */
export type FieldValue =
  | { readonly value: string }
  | { readonly problem: 'missing' }
  | { readonly problem: 'malformed' }

const missing = { problem: 'missing' } as const
const malformed = { problem: 'malformed' } as const

/**
 * Reads one field. Duplicates that somebody before us has joined with a comma cannot be seen here;
 * whoever knows the field's grammar refuses them.
 *
 * @param name In lower case.
 */
export function readField(headers: HeaderFields, name: string): FieldValue {
  if (isFetchHeaders(headers)) return single(headers.get(name) ?? undefined)
  const found = ownField(headers, name)
  if (found !== undefined) return found
  let result: FieldValue = missing
  for (const key of Object.keys(headers)) {
    if (key.length !== name.length || key.toLowerCase() !== name) continue
    const next = single(headers[key])
    if ('problem' in next && next.problem === 'missing') continue
    if (!('problem' in result && result.problem === 'missing')) return malformed
    result = next
  }
  return result
}

/** The quick way for Node's headers, whose names are in lower case and unique. */
function ownField(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
): FieldValue | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  // Another spelling beside it would be a duplicate, which only a walk through all can find.
  if (value === undefined) return undefined
  for (const key in headers) {
    if (key.length === name.length && key !== name && key.toLowerCase() === name) return undefined
  }
  return single(value)
}

function isFetchHeaders(headers: HeaderFields): headers is Headers {
  return typeof (headers as Headers).get === 'function'
}

function single(value: string | readonly string[] | undefined): FieldValue {
  if (value === undefined || value === '') return missing
  if (typeof value === 'string') return { value }
  if (!Array.isArray(value) || value.length > 1) return malformed
  return typeof value[0] === 'string' && value[0] !== '' ? { value: value[0] } : missing
}
