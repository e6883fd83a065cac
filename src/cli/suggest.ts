import { closest } from '../core/text.ts'

/**
 * What the writer probably meant, as a hint: the nearest name, at most two edits away, else all names when there
 * are under eight, else nothing.
 */
export function suggest(wrong: string, names: readonly string[]): string | undefined {
  const best = closest(wrong, names)
  if (best !== undefined) return `Did you mean '${best}'?`
  if (names.length > 0 && names.length < 8) return `Use one of: ${names.join(', ')}.`
  return undefined
}
