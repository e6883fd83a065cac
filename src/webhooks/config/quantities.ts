import { parseDuration } from '../../core/duration.ts'
import { parseRate } from '../../core/rate.ts'

// The forms in which configuration gives quantities. What does not have its form was found before, by the check.

/** Milliseconds of `5s`; undefined stays so. */
export function milliseconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text)
}

/** 0.2 of `20%`. */
export function share(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number.parseFloat(text) / 100
}

/** Times a second of `600/m`. */
export function perSecond(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseRate(text)
}

const bytesOf: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1_048_576 }

/** Bytes of `512KiB`, or of a plain number. */
export function bytes(size: string | number | undefined): number | undefined {
  if (typeof size !== 'string') return size
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB)$/.exec(size)
  return match ? Math.floor(Number(match[1]) * (bytesOf[match[2] ?? ''] ?? 1)) : undefined
}

/** Without the members that nobody gave. */
export function given<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]: Exclude<Fields[Key], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Key in keyof Fields]: Exclude<Fields[Key], undefined> }
}
