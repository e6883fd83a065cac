import { fullFormats } from 'ajv-formats/dist/formats.js'

/** True where `text` is of the format. Never throws. */
export type FormatCheck = (text: string) => boolean

const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The number that the `count` digits from `at` write; NaN where one of them is no digit. */
function digits(text: string, at: number, count: number): number {
  let value = 0
  for (let index = at; index < at + count; index += 1) {
    const digit = text.charCodeAt(index) - 48
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function isDateAt(text: string, at: number): boolean {
  if (text.charCodeAt(at + 4) !== 45 || text.charCodeAt(at + 7) !== 45) return false
  const year = digits(text, at, 4)
  const month = digits(text, at + 5, 2)
  const day = digits(text, at + 8, 2)
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1)) return false
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return day <= (month === 2 && isLeapYear ? 29 : (daysOfMonth[month - 1] as number))
}

/** Index after the fraction that begins at `at`, if one does; -1 where it has no digit or more than nine. */
function afterFraction(text: string, at: number): number {
  if (text.charCodeAt(at) !== 46) return at
  let end = at + 1
  while (text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end += 1
  return end > at + 1 && end <= at + 10 ? end : -1
}

/** Minutes east of UTC of the offset that begins at `at` and ends the text; NaN where it is none. */
function offsetMinutes(text: string, at: number): number {
  const sign = text.charCodeAt(at)
  if (sign === 90 || sign === 122) return text.length === at + 1 ? 0 : Number.NaN
  if ((sign !== 43 && sign !== 45) || text.length !== at + 6) return Number.NaN
  const hours = digits(text, at + 1, 2)
  const minutes = digits(text, at + 4, 2)
  if (text.charCodeAt(at + 3) !== 58 || !(hours <= 23 && minutes <= 59)) return Number.NaN
  return (sign === 43 ? 1 : -1) * (hours * 60 + minutes)
}

function isTimeAt(text: string, at: number): boolean {
  if (text.charCodeAt(at + 2) !== 58 || text.charCodeAt(at + 5) !== 58) return false
  const hour = digits(text, at, 2)
  const minute = digits(text, at + 3, 2)
  const second = digits(text, at + 6, 2)
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return false
  const end = afterFraction(text, at + 8)
  if (end === -1) return false
  const offset = offsetMinutes(text, end)
  if (Number.isNaN(offset)) return false
  // A leap second is inserted at the end of a day in UTC, wherever the local clock then stands.
  return second < 60 || (((hour * 60 + minute - offset) % 1440) + 1440) % 1440 === 1439
}

/**
 * RFC 3339 date-time: the offset is mandatory, 0 to 9 fraction digits, the day exists in its month.
 * A leap second (`:60`) is accepted where it can be one: at 23:59:60 UTC.
 */
export function isDateTime(text: string): boolean {
  const separator = text.charCodeAt(10)
  return (separator === 84 || separator === 116) && isDateAt(text, 0) && isTimeAt(text, 11)
}

/** 1 where the character code is that of a hexadecimal digit. */
const hexDigits = Uint8Array.from({ length: 256 }, (_, code) =>
  /[0-9a-f]/i.test(String.fromCharCode(code)) ? 1 : 0,
)

function areHexDigits(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (hexDigits[text.charCodeAt(at)] !== 1) return false
  return true
}

/**
 * The text form of RFC 9562, any version and variant, either case; no braces, no `urn:uuid:`. Each message has several of them
 * judged, on both ends: a pattern takes twice as long.
 */
export function isUuid(text: string): boolean {
  return (
    text.length === 36 &&
    text.charCodeAt(8) === 45 &&
    text.charCodeAt(13) === 45 &&
    text.charCodeAt(18) === 45 &&
    text.charCodeAt(23) === 45 &&
    areHexDigits(text, 0, 8) &&
    areHexDigits(text, 9, 13) &&
    areHexDigits(text, 14, 18) &&
    areHexDigits(text, 19, 23) &&
    areHexDigits(text, 24, 36)
  )
}

/** The UUID that means none (RFC 9562 section 5.9). */
export const nilUuid = '00000000-0000-0000-0000-000000000000'

function fromAjv(name: keyof typeof fullFormats): FormatCheck {
  const format: unknown = fullFormats[name]
  if (format instanceof RegExp) return (text) => format.test(text)
  if (typeof format === 'function') return (text) => Boolean((format as FormatCheck)(text))
  throw new TypeError(`format ${name} is neither a pattern nor a function`)
}

/**
 * The formats that are asserted, in every draft, by name. A format that is not here is an annotation, as the
 * specification says. What enforces a contract and what compares contracts both read this table.
 */
export const formatChecks: Readonly<Record<string, FormatCheck>> = {
  'date-time': isDateTime,
  date: (text) => text.length === 10 && isDateAt(text, 0),
  time: (text) => isTimeAt(text, 0),
  duration: fromAjv('duration'),
  uuid: isUuid,
  email: fromAjv('email'),
  hostname: fromAjv('hostname'),
  ipv4: fromAjv('ipv4'),
  ipv6: fromAjv('ipv6'),
  uri: fromAjv('uri'),
  'uri-reference': fromAjv('uri-reference'),
  'uri-template': fromAjv('uri-template'),
  'json-pointer': fromAjv('json-pointer'),
  'relative-json-pointer': fromAjv('relative-json-pointer'),
  regex: fromAjv('regex'),
}
