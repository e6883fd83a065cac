import { TreatyError } from '../core/errors.ts'

const keyCharactersMax = 512

/**
 * Refuses what not every database can keep apart: PostgreSQL knows no NUL, and lone surrogates all
 * become the same character in UTF-8.
 *
 * @throws STORE_KEY_INVALID
 */
export function checkKey(what: string, key: string): void {
  const isLong = key.length > keyCharactersMax && [...key].length > keyCharactersMax
  const problem =
    key.length === 0
      ? 'is empty'
      : isLong
        ? `is longer than ${keyCharactersMax} characters`
        : key.includes('\0') || !key.isWellFormed()
          ? 'holds NUL or half of a surrogate pair'
          : undefined
  if (problem === undefined) return
  throw new TreatyError('STORE_KEY_INVALID', `the ${what} ${problem}`, {
    hint: 'Use 1 to 512 characters of well-formed text.',
  })
}

const codePointMax = 0x10ffff

/**
 * The smallest text, in code point order, that is greater than every text with this prefix;
 * undefined when there is none (the prefix is empty or made of U+10FFFF alone).
 */
export function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix]
  while (points.length > 0) {
    const last = points.pop()?.codePointAt(0) ?? codePointMax
    if (last === codePointMax) continue
    // Surrogates are no characters of their own.
    const next = last === 0xd7ff ? 0xe000 : last + 1
    return points.join('') + String.fromCodePoint(next)
  }
  return undefined
}
