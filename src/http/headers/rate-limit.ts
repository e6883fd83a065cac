import { parseHttpDate } from './retry-after.ts'

/** Headers in any of the forms in which programs have them. */
export type HeaderSource =
  | Headers
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | readonly (readonly [string, string])[]

/** What is left of a server's limit. */
export interface RateLimitState {
  readonly limit?: number
  readonly remaining?: number
  /** Milliseconds from now. */
  readonly resetMs?: number
}

/** What the contract of a neighbour says about its headers, where they leave it open. */
export interface RateLimitHints {
  /** What a plain number in a reset header means; default: told from its size. */
  readonly reset?: 'epoch-seconds' | 'epoch-ms' | 'delta-seconds' | 'delta-ms'
  /** Names of the headers, where a vendor has its own. */
  readonly limitHeader?: string
  readonly remainingHeader?: string
  readonly resetHeader?: string
}

/** A value by lower-case name; several lines are joined with commas, as RFC 9110 section 5.3 allows. */
function headerReader(headers: HeaderSource): (name: string) => string | undefined {
  if (headers instanceof Headers) return (name) => headers.get(name) ?? undefined
  const pairs = Array.isArray(headers)
    ? (headers as readonly (readonly [string, string])[])
    : Object.entries(headers as Readonly<Record<string, string | readonly string[] | undefined>>)
  const byName = new Map<string, string>()
  for (const [name, value] of pairs) {
    if (value === undefined) continue
    const key = name.toLowerCase()
    const text = typeof value === 'string' ? value : value.join(', ')
    const before = byName.get(key)
    byName.set(key, before === undefined ? text : `${before}, ${text}`)
  }
  return (name) => byName.get(name.toLowerCase())
}

/** Above this a number is a point in time in seconds, above the second one in milliseconds. */
const epochSecondsMin = 1e9
const epochMsMin = 1e12

function numberOf(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? ''
  if (!/^\d{1,16}(\.\d+)?$/.test(trimmed)) return undefined
  return Number(trimmed)
}

/** Milliseconds until a reset that is a number (point in time or span), an HTTP date or an RFC 3339 one. */
function resetMsOf(
  text: string | undefined,
  now: Date,
  unit: RateLimitHints['reset'],
): number | undefined {
  const value = numberOf(text)
  const fromNow = (epochMs: number) => Math.max(0, epochMs - now.getTime())
  if (value === undefined) {
    if (text === undefined) return undefined
    const isRfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(
      text.trim(),
    )
    const at = isRfc3339 ? Date.parse(text.trim()) : parseHttpDate(text.trim(), now)
    return at === undefined || Number.isNaN(at) ? undefined : fromNow(at)
  }
  if (unit === 'delta-seconds') return value * 1000
  if (unit === 'delta-ms') return value
  if (unit === 'epoch-ms' || (unit === undefined && value > epochMsMin)) return fromNow(value)
  if (unit === 'epoch-seconds' || value > epochSecondsMin) return fromNow(value * 1000)
  return value * 1000
}

interface PolicyItem {
  readonly name: string
  readonly parameters: ReadonlyMap<string, number>
}

const token = '[A-Za-z*][A-Za-z0-9_\\-.:%*/]*'
const itemPattern = new RegExp(
  `^\\s*("(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"|${token})((?:\\s*;\\s*[a-z*][a-z0-9_\\-.*]*(?:=(?:-?\\d+(?:\\.\\d+)?|"[^"]*"|${token}|:[A-Za-z0-9+/=]*:|\\?[01]))?)*)\\s*$`,
)

/** Splits at commas outside of quotes. */
function splitList(text: string): string[] {
  return text.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? []
}

/**
 * A list of items with parameters, as `RateLimit` and `RateLimit-Policy` have them. Undefined when it is malformed:
 * such a field is ignored as a whole (RFC 9651 section 4.2).
 */
function parseItems(text: string): PolicyItem[] | undefined {
  const items: PolicyItem[] = []
  for (const part of splitList(text)) {
    const match = itemPattern.exec(part)
    if (!match) return undefined
    const parameters = new Map<string, number>()
    for (const [, key = '', value = ''] of (match[2] ?? '').matchAll(/;\s*([^=;\s]+)=([^;\s]+)/g)) {
      const number = numberOf(value)
      if (number !== undefined) parameters.set(key, number)
    }
    items.push({ name: (match[1] ?? '').replaceAll('"', ''), parameters })
  }
  return items.length === 0 ? undefined : items
}

const withoutAbsent = (state: Readonly<Record<keyof RateLimitState, number | undefined>>) => {
  const known = Object.entries(state).filter(([, value]) => value !== undefined)
  return known.length === 0 ? undefined : (Object.fromEntries(known) as RateLimitState)
}

/** `RateLimit: "policy";r=50;t=30`, with the quota from `RateLimit-Policy: "policy";q=100;w=60`. */
function fromStructured(read: ReturnType<typeof headerReader>): RateLimitState | undefined {
  const items = parseItems(read('ratelimit') ?? '')
  const tightest = items
    ?.filter(({ parameters }) => parameters.has('r'))
    .sort((a, b) => (a.parameters.get('r') ?? 0) - (b.parameters.get('r') ?? 0))[0]
  if (tightest === undefined) return undefined
  const policies = parseItems(read('ratelimit-policy') ?? '') ?? []
  const policy = policies.find(({ name }) => name === tightest.name)
  const seconds = tightest.parameters.get('t')
  return withoutAbsent({
    limit: policy?.parameters.get('q') ?? tightest.parameters.get('q'),
    remaining: tightest.parameters.get('r'),
    resetMs: seconds === undefined ? undefined : seconds * 1000,
  })
}

/** `RateLimit: limit=100, remaining=50, reset=30`, as drafts 7 and before 3 had it in one field. */
function fromDictionary(read: ReturnType<typeof headerReader>): RateLimitState | undefined {
  const fields = new Map<string, number>()
  for (const part of splitList(read('ratelimit') ?? '')) {
    const match = /^\s*(limit|remaining|reset)\s*=\s*(\d+)\s*(?:;.*)?$/.exec(part)
    if (match) fields.set(match[1] ?? '', Number(match[2]))
  }
  const reset = fields.get('reset')
  return withoutAbsent({
    limit: fields.get('limit'),
    remaining: fields.get('remaining'),
    resetMs: reset === undefined ? undefined : reset * 1000,
  })
}

/** Families of three headers; the first that is there counts. */
const families = [
  ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
  ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
  ['x-rate-limit-limit', 'x-rate-limit-remaining', 'x-rate-limit-reset'],
  ['x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
] as const

/** A number that may be followed by a window or by more windows: `100, 100;w=60`. */
function firstNumber(text: string | undefined): number | undefined {
  return numberOf(text?.split(/[,;]/)[0])
}

function fromFamily(
  read: ReturnType<typeof headerReader>,
  names: readonly [string, string, string],
  facts: { readonly now: Date; readonly hints: RateLimitHints },
): RateLimitState | undefined {
  const { now, hints } = facts
  const [limit, remaining, reset] = names
  const unit = hints.reset
  const resetText = read(hints.resetHeader ?? reset)
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(resetText ?? '')
  return withoutAbsent({
    limit: firstNumber(read(hints.limitHeader ?? limit)),
    remaining: firstNumber(read(hints.remainingHeader ?? remaining)),
    resetMs: seconds ? Number(seconds[1]) * 1000 : resetMsOf(resetText, now, unit),
  })
}

/**
 * What a server says about its rate limit: the `RateLimit` field of the IETF draft (of several policies the one with the
 * least left), its older forms, and the `X-RateLimit-…` families. A reset may be a span or a point in time, told from its size
 * or from `hints`. What is malformed is ignored; undefined when nothing is left.
 *
 * @see draft-ietf-httpapi-ratelimit-headers
 */
export function parseRateLimit(
  headers: HeaderSource,
  now: Date,
  hints: RateLimitHints = {},
): RateLimitState | undefined {
  const read = headerReader(headers)
  if (hints.remainingHeader === undefined && hints.resetHeader === undefined) {
    const single = fromStructured(read) ?? fromDictionary(read)
    if (single) return single
  }
  for (const names of families) {
    const state = fromFamily(read, names, { now, hints })
    if (state) return state
  }
  return undefined
}
