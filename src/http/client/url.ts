import { invalidOption } from '../resilience/policy.ts'

/** A value of a path or query parameter. */
export type ParameterValue = string | number | boolean
/** Parameters of a query by name; a list repeats its name, undefined leaves it out. */
export type Query = Readonly<
  Record<string, ParameterValue | readonly ParameterValue[] | undefined | null>
>

/** Where a client's calls go: an origin, and a path that all of them stay under. */
export interface Base {
  readonly origin: string
  /** Without a slash at its end; empty for the root. */
  readonly path: string
  readonly url: URL
}

/**
 * Reads a base URL: http or https, an origin and perhaps a path.
 *
 * @throws HTTP_OPTIONS_INVALID for anything else, user information, query or fragment
 */
export function parseBase(text: string | URL, https: 'required' | 'optional'): Base {
  const url = URL.parse(String(text))
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw invalidOption(
      'baseUrl is no http or https URL',
      'Give a URL such as https://api.example.com/v1.',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw invalidOption('baseUrl carries user information', 'Give the credential in auth.')
  }
  if (url.search !== '' || url.hash !== '') {
    throw invalidOption('baseUrl has a query or a fragment', 'Give the query with each call.')
  }
  if (https === 'required' && url.protocol !== 'https:') {
    throw invalidOption(
      `baseUrl ${url.origin} is not https`,
      "Use https, or set egress.https to 'optional'.",
    )
  }
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, ''), url }
}

/** Characters that a path may hold as they are (RFC 3986 section 3.3), without the percent sign. */
const plainPath = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/
const dotSegment = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i

function refused(path: string, why: string): Error {
  return invalidOption(
    `the path ${JSON.stringify(path.slice(0, 100))} ${why}`,
    'Give a path under baseUrl, with its parameters in params and query.',
  )
}

/** A path that is no plain one: encoded where needed, refused where it could lead elsewhere. */
function cleanPath(path: string): string {
  if (/^[a-z][a-z0-9+.-]*:/i.test(path)) throw refused(path, 'is an absolute URL')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
  if (/[\\#\u0000-\u001f\u007f]/.test(path))
    throw refused(path, 'holds a character that no path has')
  if (/%(?![0-9a-f]{2})/i.test(path)) throw refused(path, 'is not percent-encoded correctly')
  return encodeURI(path).replaceAll('%25', '%')
}

/**
 * The path and query of a call under a base; it can never change the origin, nor leave the base's path.
 * Percent-encoded parts stay as they are; other characters are encoded.
 *
 * @throws HTTP_OPTIONS_INVALID for absolute URLs, `//host`, backslashes, dot segments, fragments, control characters
 */
export function joinPath(base: Base, path: string, query?: Query): string {
  if (!path.isWellFormed()) throw refused(path, 'is not well-formed text')
  const at = path.indexOf('?')
  const pathOnly = at < 0 ? path : path.slice(0, at)
  if (/^[/\\]{2}/.test(pathOnly)) throw refused(path, 'names another host')
  const isPlain = plainPath.test(pathOnly) && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(pathOnly)
  const cleaned = isPlain ? pathOnly : cleanPath(pathOnly)
  if (dotSegment.test(cleaned)) throw refused(path, 'has dot segments, which could leave the base')
  const slash = cleaned === '' || cleaned.startsWith('/') ? '' : '/'
  const joined = `${base.path}${slash}${cleaned}` || '/'
  const ownQuery = at < 0 ? '' : cleanQuery(path.slice(at + 1))
  return appendQuery(joined + (ownQuery === '' ? '' : `?${ownQuery}`), query)
}

function cleanQuery(query: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
  if (/[#\u0000-\u001f\u007f]/.test(query))
    throw refused(query, 'holds a character that no query has')
  return encodeURI(query).replaceAll('%25', '%')
}

/** Adds parameters; an array repeats its name, undefined and null are left out. */
export function appendQuery(path: string, query: Query | undefined): string {
  if (query === undefined) return path
  const parts: string[] = []
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue
    const values = Array.isArray(value) ? (value as readonly ParameterValue[]) : [value]
    for (const each of values) {
      parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(each))}`)
    }
  }
  if (parts.length === 0) return path
  return `${path}${path.includes('?') ? '&' : '?'}${parts.join('&')}`
}

/**
 * Fills `{name}` in a path; what is filled in is encoded, so that it stays one segment.
 *
 * @throws HTTP_OPTIONS_INVALID for a parameter that is missing, empty or a dot segment
 */
export function fillPath(
  template: string,
  params: Readonly<Record<string, ParameterValue>> | undefined,
): string {
  if (params === undefined) return template
  return template.replaceAll(/\{([^{}/]+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? String(params[name]) : ''
    if (value !== '' && value !== '.' && value !== '..') return encodeURIComponent(value)
    throw invalidOption(
      `the path parameter ${name} is ${value === '' ? 'missing or empty' : 'a dot segment'}`,
      `Give a value for ${name} in params.`,
    )
  })
}
