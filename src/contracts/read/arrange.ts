import type { Finding } from '../../core/finding.ts'
import { limits } from '../../core/limits.ts'

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Findings by file and place, without repetitions; past `limits.findingsMax` the errors stay and the rest is counted
 * (FINDINGS_CUT).
 */
export function arrangeFindings(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>()
  const unique = findings.filter(({ code, message, file, line, column, pointer }) => {
    const key = JSON.stringify([code, message, file, line, column, pointer])
    const isNew = !seen.has(key)
    seen.add(key)
    return isNew
  })
  unique.sort(
    (a, b) =>
      compareTexts(a.file ?? '', b.file ?? '') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  )
  if (unique.length <= limits.findingsMax) return unique
  const errors = unique.filter(({ severity }) => severity === 'error')
  const others = unique.filter(({ severity }) => severity !== 'error')
  return [
    ...[...errors, ...others].slice(0, limits.findingsMax),
    {
      code: 'FINDINGS_CUT',
      message: `${unique.length - limits.findingsMax} more findings are not listed`,
      severity: 'info',
      hint: 'Mend the first ones and check again.',
    },
  ]
}
