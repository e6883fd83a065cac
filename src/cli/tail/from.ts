import { parseDuration } from '../../core/duration.ts'
import { TreatyError } from '../../core/errors.ts'

/**
 * The instant that `--from` names, in epoch milliseconds: `earliest`, so long ago (`-1h`, `15m`), or a date (`2026-11-20`, `2026-11-20T10:00:00Z`).
 *
 * @throws USAGE
 */
export function instantOf(text: string, now: number): number {
  if (text === 'earliest') return 0
  const ago = parseDuration(text.replace(/^-/, ''))
  if (ago !== undefined) return now - ago
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new TreatyError('USAGE', `--from "${text}" is no instant`, {
    hint: 'Give earliest, how long ago (-1h, -15m), or a date such as 2026-11-20T10:00:00Z.',
  })
}
