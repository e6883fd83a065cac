const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const time = '(\\d{2}):(\\d{2}):(\\d{2})'
const month = `(${months.join('|')})`
const day = '(?:mon|tue|wed|thu|fri|sat|sun)'
const longDay = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)'
const imfPattern = new RegExp(`^${day}, (\\d{2}) ${month} (\\d{4}) ${time} gmt$`, 'i')
const rfc850Pattern = new RegExp(`^${longDay}, (\\d{2})-${month}-(\\d{2}) ${time} gmt$`, 'i')
const asctimePattern = new RegExp(`^${day} ${month} ([ \\d]\\d) ${time} (\\d{4})$`, 'i')

interface DateParts {
  readonly year: number
  readonly month: string
  readonly day: number
  readonly time: readonly string[]
}

/** A two-digit year is the nearest one that is at most 50 years ahead (RFC 9110 section 5.6.7). */
function fullYear(twoDigits: number, now: Date): number {
  const year = Math.floor(now.getUTCFullYear() / 100) * 100 + twoDigits
  return year > now.getUTCFullYear() + 50 ? year - 100 : year
}

function toEpochMs(parts: DateParts): number | undefined {
  const monthIndex = months.indexOf(parts.month.toLowerCase())
  const [hour = 0, minute = 0, second = 0] = parts.time.map(Number)
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(0)
  date.setUTCFullYear(parts.year, monthIndex, parts.day)
  date.setUTCHours(hour, minute, second)
  const isReal = parts.day >= 1 && parts.day <= daysIn(parts.year, monthIndex)
  return isReal ? date.getTime() : undefined
}

function daysIn(year: number, monthIndex: number): number {
  return new Date(Date.UTC(year, monthIndex + 1, 0)).getUTCDate()
}

/**
 * Epoch milliseconds of an HTTP date in any of its three forms; undefined when it is none.
 *
 * @see RFC 9110 section 5.6.7: IMF-fixdate, RFC 850, asctime
 */
export function parseHttpDate(text: string, now: Date): number | undefined {
  const imf = imfPattern.exec(text)
  if (imf) {
    const [, dayOf = '', monthOf = '', year = '', ...rest] = imf
    return toEpochMs({ year: Number(year), month: monthOf, day: Number(dayOf), time: rest })
  }
  const old = rfc850Pattern.exec(text)
  if (old) {
    const [, dayOf = '', monthOf = '', year = '', ...rest] = old
    const full = fullYear(Number(year), now)
    return toEpochMs({ year: full, month: monthOf, day: Number(dayOf), time: rest })
  }
  const asctime = asctimePattern.exec(text)
  if (!asctime) return undefined
  const [, monthOf = '', dayOf = '', hour = '', minute = '', second = '', year = ''] = asctime
  const parts = { year: Number(year), month: monthOf, day: Number(dayOf) }
  return toEpochMs({ ...parts, time: [hour, minute, second] })
}

/**
 * How long a `Retry-After` asks to wait: whole seconds or an HTTP date, which counts as 0 when it is past. Undefined
 * when the value is neither.
 *
 * @see RFC 9110 section 10.2.3
 */
export function parseRetryAfter(value: string, now: Date): { delayMs: number } | undefined {
  const text = value.trim()
  if (/^\d{1,15}$/.test(text)) return { delayMs: Number(text) * 1000 }
  const at = parseHttpDate(text, now)
  return at === undefined ? undefined : { delayMs: Math.max(0, at - now.getTime()) }
}
