import type { Dice } from './dice.ts'

const two = (value: number): string => String(value).padStart(2, '0')
const names = ['ada', 'grace', 'linus', 'margaret', 'edsger', 'barbara', 'alan', 'katherine']
const places = ['example.com', 'example.org', 'example.net', 'shop.example', 'docs.example']
const nouns = ['orders', 'reports', 'items', 'guides', 'releases', 'notes']

const name = (luck: Dice): string => luck.pick(names) as string
const place = (luck: Dice): string => luck.pick(places) as string
const noun = (luck: Dice): string => luck.pick(nouns) as string
const hex = (luck: Dice, count: number): string =>
  Array.from({ length: count }, () => luck.between(0, 15).toString(16)).join('')

const day = (luck: Dice): string => `2026-${two(luck.between(1, 12))}-${two(luck.between(1, 28))}`
const timeOfDay = (luck: Dice): string =>
  `${two(luck.between(0, 23))}:${two(luck.between(0, 59))}:${two(luck.between(0, 59))}Z`
const uuid = (luck: Dice): string =>
  `${hex(luck, 8)}-${hex(luck, 4)}-4${hex(luck, 3)}-${luck.pick(['8', '9', 'a', 'b'])}${hex(luck, 3)}-${hex(luck, 12)}`
const uri = (luck: Dice): string => `https://${place(luck)}/${noun(luck)}/${luck.between(1, 9999)}`

const makers: Readonly<Record<string, (luck: Dice) => string>> = {
  'date-time': (luck) => `${day(luck)}T${timeOfDay(luck)}`,
  date: day,
  time: timeOfDay,
  duration: (luck) => `PT${luck.between(1, 120)}${luck.pick(['S', 'M', 'H'])}`,
  uuid,
  email: (luck) => `${name(luck)}.${luck.between(1, 999)}@${place(luck)}`,
  'idn-email': (luck) => `${name(luck)}@${place(luck)}`,
  hostname: (luck) => `${noun(luck)}${luck.between(1, 99)}.${place(luck)}`,
  'idn-hostname': place,
  // Addresses of documentation (RFC 5737, RFC 3849): nobody's machine is behind them.
  ipv4: (luck) => `192.0.2.${luck.between(1, 254)}`,
  ipv6: (luck) => `2001:db8::${hex(luck, 4)}`,
  uri,
  iri: uri,
  'uri-reference': (luck) => `/${noun(luck)}/${luck.between(1, 9999)}`,
  'iri-reference': (luck) => `/${noun(luck)}/${luck.between(1, 9999)}`,
  'uri-template': (luck) => `https://${place(luck)}/${noun(luck)}{/id}`,
  'json-pointer': (luck) => `/${noun(luck)}/${luck.between(0, 9)}`,
  'relative-json-pointer': (luck) => `${luck.between(0, 3)}/${noun(luck)}`,
  regex: (luck) => `^${noun(luck)}[0-9]+$`,
}

/** Texts of a format that programs often do not expect. */
export const formatEdges: Readonly<Record<string, readonly string[]>> = {
  'date-time': [
    '1970-01-01T00:00:00Z',
    '2024-02-29T12:00:00.123456789+14:00',
    '2016-12-31T23:59:60Z',
    '9999-12-31T23:59:59-12:00',
  ],
  date: ['1970-01-01', '2024-02-29', '9999-12-31'],
  time: ['00:00:00Z', '23:59:59.999999999+14:00'],
  duration: ['PT0S', 'P1Y2M3DT4H5M6S', 'P4W'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF'],
  email: ["o'brien+tag@example.com", 'a@b.example'],
  ipv4: ['0.0.0.0', '255.255.255.255'],
  ipv6: ['::', '::ffff:192.0.2.1'],
  uri: ['urn:example:a:b', 'https://user@example.com:8443/%E6%97%A5?q=a%20b#end'],
}

/** Formats that name one thing and no other: taking them from an example would make two fakes one thing. */
export const identifyingFormats: ReadonlySet<string> = new Set(['uuid'])

/** A text of the format; undefined for one that is not known. */
export function formatText(format: string, luck: Dice): string | undefined {
  return makers[format]?.(luck)
}

/** Fields whose name says what stands in them, where no format does. */
const byName: readonly (readonly [RegExp, (luck: Dice) => string])[] = [
  [/e-?mail$/i, makers.email as (luck: Dice) => string],
  [/(url|uri|link|href|website|endpoint)$/i, uri],
  [/(timestamp|_at|At|_time|Time)$/, (luck) => `${day(luck)}T${timeOfDay(luck)}`],
  [/(^|_)date$|Date$/, day],
  [/currency(_?code)?$/i, (luck) => luck.pick(['EUR', 'USD', 'JPY', 'GBP']) as string],
  [/country(_?code)?$/i, (luck) => luck.pick(['DE', 'FR', 'JP', 'BR', 'KE']) as string],
  [/(language|locale)$/i, (luck) => luck.pick(['en', 'de', 'pt-BR', 'ja']) as string],
  [/(city|town)$/i, (luck) => luck.pick(['Lisbon', 'Nairobi', 'Osaka', 'Zürich']) as string],
  [/(first|given)_?name$/i, (luck) => capital(name(luck))],
  [/(customer|user|author|owner|person|sender|contact)(_?name)?$/i, person],
  [/(title|subject|name)$/i, (luck) => `${capital(noun(luck))} of ${day(luck).slice(0, 7)}`],
  [/(description|summary|note|reason|message|comment|text)$/i, sentence],
]

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
const surnames = ['Lovelace', 'Hopper', 'Hamilton', 'Liskov', 'Turing', 'Johnson']
function person(luck: Dice): string {
  return `${capital(name(luck))} ${luck.pick(surnames)}`
}
function sentence(luck: Dice): string {
  return `${capital(name(luck))} asked for the ${noun(luck)} again.`
}

const identityName = /(^|[_-])(id|uuid|guid|key|ref|number|no)$|(Id|Uuid|Key|Ref|Number|No)$/

/** True for a field that names one thing and no other, as far as its name tells. */
export function isIdentityName(field: string): boolean {
  return identityName.test(field)
}

/** An identity as people write them: a UUID where the example is one, else `order-4711` for `orderId`. */
function identityText(field: string, example: unknown, luck: Dice): string {
  if (typeof example === 'string' && example.length === 36 && example.split('-').length === 5) {
    return uuid(luck)
  }
  const stem = field.replace(identityName, '').replace(/[^A-Za-z0-9]+/g, '-')
  return `${stem.toLowerCase() || 'id'}-${luck.between(1000, 999_999)}`
}

/** A text that reads like one of this field: by its name, else a word or two. */
export function plainText(luck: Dice, field = '', example?: unknown): string {
  if (isIdentityName(field)) return identityText(field, example, luck)
  const known = byName.find(([pattern]) => pattern.test(field))
  if (known) return known[1](luck)
  return luck.chance(0.5) ? noun(luck) : `${name(luck)} ${noun(luck)}`
}
