import type { Finding, Severity } from '../core/finding.ts'
import type { Style } from './style.ts'

/** Findings that people are shown; the rest are counted. */
const findingsShownMax = 20

const weights: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 }

/**
 * Findings as people read them: grouped by file, the most important last, where the eye is. Past twenty the less
 * important are counted only.
 */
export function renderFindings(findings: readonly Finding[], style: Style): string {
  const ranked = findings.toSorted((a, b) => weights[b.severity] - weights[a.severity])
  const shown = ranked.slice(0, findingsShownMax)
  const blocks = inReadingOrder(shown).map((finding) => renderFinding(finding, style))
  const hidden = ranked.slice(findingsShownMax)
  if (hidden.length > 0) {
    blocks.unshift(
      style.dim(`${countFindings(hidden)} more, not shown here; --json has all of them`),
    )
  }
  return blocks.join('\n\n')
}

/** Files with the gravest finding last; inside a file grave ones last, then by line. */
function inReadingOrder(findings: readonly Finding[]): readonly Finding[] {
  const gravest = new Map<string, number>()
  for (const { file = '', severity } of findings) {
    gravest.set(file, Math.max(gravest.get(file) ?? 0, weights[severity]))
  }
  return findings.toSorted((a, b) => {
    const [fileA, fileB] = [a.file ?? '', b.file ?? '']
    return (
      (gravest.get(fileA) ?? 0) - (gravest.get(fileB) ?? 0) ||
      (fileA < fileB ? -1 : fileA > fileB ? 1 : 0) ||
      weights[a.severity] - weights[b.severity] ||
      (a.line ?? 0) - (b.line ?? 0)
    )
  })
}

/** One finding: headline, place, frame, what it concerns, hint. */
export function renderFinding(finding: Finding, style: Style): string {
  const { severity, code, message, file, line, column, frame, hint } = finding
  const paint =
    severity === 'error' ? style.red : severity === 'warning' ? style.yellow : style.cyan
  const lines = [`${paint(style.bold(`${severity}[${code}]`))}: ${style.bold(message)}`]
  if (file !== undefined) {
    const place = [file, line, column].filter((part) => part !== undefined).join(':')
    lines.push(`  ${style.dim('-->')} ${place}`)
  } else if (line !== undefined) {
    lines.push(
      `  ${style.dim('-->')} line ${line}${column === undefined ? '' : `, column ${column}`}`,
    )
  }
  if (frame !== undefined) lines.push(frame)
  const about = [
    file === undefined &&
    line === undefined &&
    finding.pointer !== undefined &&
    !isNamed(finding.pointer, message)
      ? `at ${finding.pointer || 'the root'}`
      : '',
    finding.event === undefined ? '' : `event ${finding.event}`,
    finding.consumer === undefined ? '' : `consumer ${finding.consumer}`,
  ].filter((part) => part !== '')
  if (about.length > 0) lines.push(`  ${about.join(', ')}`)
  if (finding.witness !== undefined) lines.push(`  witness: ${JSON.stringify(finding.witness)}`)
  if (hint !== undefined) lines.push(`  ${style.green('hint:')} ${hint}`)
  return lines.join('\n')
}

/** True when the message begins with its place: to say it twice helps nobody. */
function isNamed(pointer: string, message: string): boolean {
  return message.startsWith(pointer === '' ? 'the data ' : `${pointer} `)
}

/** `2 errors, 1 warning`; `no findings`. */
export function countFindings(findings: readonly Finding[]): string {
  const parts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length
    return count === 0 ? [] : [plural(count, severity)]
  })
  return parts.length === 0 ? 'no findings' : parts.join(', ')
}

/** `1 error`, `2 errors`. */
export function plural(count: number, word: string, words = `${word}s`): string {
  return `${count} ${count === 1 ? word : words}`
}
