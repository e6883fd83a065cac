import { compareContracts } from '../contracts/compat/index.ts'
import type { CompatibilityJudge } from './model.ts'

/**
 * Compares message by message and consumer by consumer, under policy and mode of the lower version: what was agreed
 * decides how far it may be changed, not what is proposed.
 */
export const comparingJudge: CompatibilityJudge = {
  judge(before, after) {
    const { policy, mode } = before.evolution
    return compareContracts(before, after, { policy, mode }).findings.map(
      // Places in files are the author's own; a registry has none to show.
      ({ file: _file, line: _line, column: _column, frame: _frame, ...finding }) => finding,
    )
  },
}
