import { fullFormats } from 'ajv-formats/dist/formats.js'
import { type FormatCheck, formatChecks } from '../../schema/formats.ts'

/** A regular expression as text, with its flags. */
export interface Language {
  readonly source: string
  readonly flags: string
}

/** A format that is asserted, with languages that enclose it: under ⊆ format ⊆ over. */
export interface StandardFormat {
  readonly name: string
  /** What the runtime's validator decides: the same function. */
  readonly test: FormatCheck
  /** The text must be in all of these to have the format. */
  readonly over: readonly Language[]
  /** A text in all of these has the format; undefined when no such language is known. */
  readonly under: readonly Language[] | undefined
  /** Texts that have the format, plain ones first. */
  readonly samples: readonly string[]
}

const language = (source: string, flags = ''): Language => ({ source, flags })
const plain = (name: keyof typeof fullFormats): Language => {
  const { source, flags } = fullFormats[name] as RegExp
  return language(source, flags)
}

// Gregorian calendar, year 0000 included; 29 February in leap years only (RFC 3339 appendix C).
const leapYear = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'
const days =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))'
const date = `(?:\\d{4}-${days}|${leapYear}-02-29)`
const fraction = '(?:\\.\\d{1,9})?'
const zone = '(?:[zZ]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)'
const clock = '(?:[01]\\d|2[0-3]):[0-5]\\d'
// A leap second passes at 23:59:60 UTC only; which local time that is depends on the zone.
const time = `(?:${clock}:[0-5]\\d${fraction}${zone}|23:59:60${fraction}[zZ])`
const timeOver = `${clock}:(?:[0-5]\\d|60)${fraction}${zone}`

function exact(
  name: string,
  languages: readonly Language[],
  samples: readonly string[],
): StandardFormat {
  return {
    name,
    test: formatChecks[name] as FormatCheck,
    over: languages,
    under: languages,
    samples,
  }
}

function enclosed(
  name: string,
  under: Language,
  over: Language | undefined,
  samples: readonly string[],
): StandardFormat {
  return {
    name,
    test: formatChecks[name] as FormatCheck,
    over: over === undefined ? [] : [over],
    under: [under],
    samples,
  }
}

const hostnameOfAnyLength: Language = {
  ...plain('hostname'),
  source: plain('hostname').source.replace('^(?=.{1,253}\\.?$)', '^'),
}

const list: readonly StandardFormat[] = [
  exact('date', [language(`^${date}$`)], ['2026-01-31']),
  enclosed('time', language(`^${time}$`), language(`^${timeOver}$`), ['09:30:00Z']),
  enclosed('date-time', language(`^${date}[tT]${time}$`), language(`^${date}[tT]${timeOver}$`), [
    '2026-01-31T09:30:00Z',
  ]),
  exact('duration', [plain('duration')], ['P1D']),
  exact('email', [plain('email')], ['ada@example.com']),
  // The limit of 253 characters multiplies the states; few proofs need it.
  enclosed('hostname', plain('hostname'), hostnameOfAnyLength, ['example.com']),
  exact('ipv4', [plain('ipv4')], ['192.0.2.1']),
  exact('ipv6', [plain('ipv6')], ['2001:db8::1']),
  // A URI is a URI reference with a scheme and a path, and without quotation marks (RFC 3986 section 3).
  exact(
    'uri',
    [plain('uri-reference'), language('^[a-z][a-z0-9+.-]*:[^?#]', 'i'), language('^[^"]*$')],
    ['https://example.com/'],
  ),
  exact('uri-reference', [plain('uri-reference')], ['https://example.com/']),
  exact('uri-template', [plain('uri-template')], ['https://example.com/{id}']),
  exact(
    'uuid',
    [language('^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$', 'i')],
    ['7d444840-9dc0-11d1-b245-5ffdce74fad2'],
  ),
  exact('json-pointer', [plain('json-pointer')], ['/a']),
  exact('relative-json-pointer', [plain('relative-json-pointer')], ['0']),
  // Balanced parentheses are not regular: letters and digits are expressions, little else is known.
  enclosed('regex', language('^[A-Za-z0-9 ]*$'), undefined, ['^a']),
]

/** The formats that are asserted, by name; every other name is an annotation. */
export const standardFormats: ReadonlyMap<string, StandardFormat> = new Map(
  list.map((format) => [format.name, format]),
)
