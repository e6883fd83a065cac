import { catalogEntry, type ErrorCode, errorCatalog } from '../../core/errors.ts'
import type { Finding, Severity } from '../../core/finding.ts'

/** Findings for other tools: GitHub's workflow commands, or SARIF 2.1.0. */
export function renderAs(format: 'github' | 'sarif', findings: readonly Finding[]): string {
  return format === 'github'
    ? findings.map(githubLine).join('\n')
    : JSON.stringify(sarifLog(findings), null, 2)
}

const githubLevels: Readonly<Record<Severity, string>> = {
  error: 'error',
  warning: 'warning',
  info: 'notice',
}

/**
 * `::error file=…,line=…,col=…,title=CODE::message`.
 *
 * @see https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
 */
function githubLine(finding: Finding): string {
  const { severity, file, line, column, code } = finding
  const properties = Object.entries({ file, line, col: column, title: code })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${escapeProperty(String(value))}`)
  return `::${githubLevels[severity]} ${properties.join(',')}::${escapeData(textOf(finding))}`
}

const escapeData = (text: string) =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const escapeProperty = (text: string) =>
  escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

function textOf({ message, hint, witness }: Finding): string {
  const proof = witness === undefined ? [] : [`witness: ${JSON.stringify(witness)}`]
  return [message, ...proof, ...(hint === undefined ? [] : [`hint: ${hint}`])].join('\n')
}

const sarifLevels: Readonly<Record<Severity, string>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
}

/** @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html */
function sarifLog(findings: readonly Finding[]) {
  const codes = [...new Set(findings.map(({ code }) => code))].toSorted()
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'treaty', rules: codes.map(sarifRule) } },
        results: findings.map((finding) => sarifResult(finding, codes)),
      },
    ],
  }
}

function sarifRule(code: string) {
  if (!Object.hasOwn(errorCatalog, code)) return { id: code }
  const { meaning, fix } = catalogEntry(code as ErrorCode)
  return { id: code, shortDescription: { text: meaning }, help: { text: fix } }
}

function sarifResult(finding: Finding, codes: readonly string[]) {
  const { code, severity, file, line, column, event, consumer, witness, pointer } = finding
  const region = line === undefined ? {} : { region: { startLine: line, startColumn: column ?? 1 } }
  const uri = file?.split('/').map(encodeURIComponent).join('/')
  const properties = { event, consumer, witness, pointer }
  return {
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: sarifLevels[severity],
    message: { text: textOf(finding) },
    ...(uri === undefined
      ? {}
      : { locations: [{ physicalLocation: { artifactLocation: { uri }, ...region } }] }),
    ...(Object.values(properties).some((value) => value !== undefined) ? { properties } : {}),
  }
}
