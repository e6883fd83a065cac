import { compareContracts } from '../contracts/compat/index.ts'
import type { CompatibilityJudge } from './model.ts'

/**
 * Compares message by message and consumer by consumer, under policy and mode of the latest earlier version: what was
 * agreed decides how far it may be changed, not what is proposed.
 */
export const comparingJudge: CompatibilityJudge = {
  judge(earlier, after) {
    const latest = earlier.at(-1)
    if (!latest) return []
    const { policy, mode } = latest.evolution
    return compareContracts(earlier, after, { policy, mode }).findings.map(
      // Places in files are the author's own; a registry has none to show.
      ({ file: _file, line: _line, column: _column, frame: _frame, ...finding }) => finding,
    )
  },
}
