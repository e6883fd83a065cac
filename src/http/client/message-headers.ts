import type { HeaderSource } from '../headers/rate-limit.ts'
import { invalidOption } from '../resilience/policy.ts'

/** Headers of a call in any of the forms in which programs have them. */
export type HeadersInput = HeaderSource

/** Lower-case names. */
export type HeaderRecord = Record<string, string>

/** Names that the client itself decides on. */
const ownNames = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const namePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Visible characters, spaces, tabs and the upper half of Latin-1 (RFC 9110 section 5.5). */
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/

function pairsOf(
  input: HeadersInput,
): Iterable<readonly [string, string | readonly string[] | undefined]> {
  if (input instanceof Headers) return input.entries()
  return Array.isArray(input)
    ? (input as readonly (readonly [string, string])[])
    : Object.entries(input)
}

/**
 * Adds headers to a record, by lower-case name; the same name twice is joined with a comma.
 *
 * @param reserved Names that the credential of the client uses: a caller that sets one would replace it.
 * @throws HTTP_OPTIONS_INVALID for a reserved name, one that the client decides on, or what cannot be sent
 */
export function addHeaders(
  record: HeaderRecord,
  input: HeadersInput | undefined,
  reserved: ReadonlySet<string>,
): void {
  if (input === undefined) return
  const seen = new Set<string>()
  for (const [given, value] of pairsOf(input)) {
    if (value === undefined) continue
    const name = given.toLowerCase()
    checkHeader(name, value, reserved)
    const text = typeof value === 'string' ? value : value.join(', ')
    record[name] = seen.has(name) ? `${record[name]}, ${text}` : text
    seen.add(name)
  }
}

function checkHeader(
  name: string,
  value: string | readonly string[],
  reserved: ReadonlySet<string>,
): void {
  if (!namePattern.test(name)) {
    throw invalidOption(
      `${JSON.stringify(name)} is no header name`,
      'Use letters, digits and dashes.',
    )
  }
  if (ownNames.has(name)) {
    throw invalidOption(`the header ${name} is set by the client`, 'Leave it out.')
  }
  if (reserved.has(name)) {
    throw invalidOption(
      `the header ${name} carries the credential of this client`,
      'Leave it out, or use a client without auth.',
    )
  }
  const values = typeof value === 'string' ? [value] : value
  if (values.every((each) => typeof each === 'string' && valuePattern.test(each))) return
  // The value itself may be a secret.
  throw invalidOption(
    `the value of the header ${name} cannot be sent`,
    'Remove line breaks and characters beyond Latin-1.',
  )
}

/** What may follow a redirect to another origin: nothing that identifies anybody. */
export const harmlessHeaders: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'user-agent',
])

/** Headers of an answer as one text each. */
export function flattenHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): HeaderRecord {
  const flat: HeaderRecord = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}
