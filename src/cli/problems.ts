import type { Clock } from '../core/clock.ts'
import type { TreatyError } from '../core/errors.ts'

/** A problem that lasts is said again after so long. */
const againAfterMs = 30_000

/**
 * Tells a person of what goes wrong beside the work: each problem when it begins, and while it lasts every half minute
 * with how often it came. A full disk fails many times a second, and a thousand equal lines hide everything else.
 *
 * @param tell Takes one line: code, sentence and what to do.
 */
export function createProblems(
  clock: Clock,
  tell: (line: string) => void,
): (error: TreatyError) => void {
  const lasting = new Map<string, { saidAt: number; unsaid: number }>()
  return ({ code, message, hint }) => {
    const line = `[${code}] ${message}${hint === undefined ? '' : `. ${hint}`}`
    const now = clock.monotonic()
    for (const [other, { saidAt }] of lasting) {
      if (now - saidAt >= 2 * againAfterMs) lasting.delete(other)
    }
    const known = lasting.get(line)
    if (known && now - known.saidAt < againAfterMs) {
      known.unsaid += 1
      return
    }
    tell(known?.unsaid ? `${line} (${known.unsaid + 1} times since it was last said)` : line)
    lasting.set(line, { saidAt: now, unsaid: 0 })
  }
}
