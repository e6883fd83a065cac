import type {
  ConsumerImpact,
  ContractVerdict,
  MessageChange,
} from '../../contracts/compat/index.ts'
import type { Finding } from '../../core/finding.ts'
import { plural } from '../finding-text.ts'
import type { Style } from '../style.ts'

/** What a pull request must say: per message what changed, where, whom it hurts, the message that proves it, the fix. */
export function renderVerdict(verdict: ContractVerdict, style: Style): string {
  const changed = Object.values(verdict.messages).filter(
    (message) => message.bump !== 'none' || isHurting(verdict, message),
  )
  const blocks = changed.map((message) => renderMessage(verdict, message, style))
  const whole = verdict.findings.filter(
    ({ code, event }) => event === undefined && code !== 'VERSION_TOO_LOW',
  )
  blocks.push(...whole.map((finding) => renderLoose(finding, style)))
  const version = renderVersion(verdict, style)
  return [...blocks, ...(version === '' ? [] : [version])].join('\n\n')
}

function impactsOf(verdict: ContractVerdict, event: string): ConsumerImpact[] {
  return Object.values(verdict.consumers).filter((impact) =>
    impact.events.some((each) => each.event === event),
  )
}

function verdictOn(impact: ConsumerImpact, event: string) {
  return impact.events.find((each) => each.event === event)?.verdict ?? 'compatible'
}

function isHurting(verdict: ContractVerdict, { name }: MessageChange): boolean {
  return impactsOf(verdict, name).some((impact) => verdictOn(impact, name) !== 'compatible')
}

function renderMessage(verdict: ContractVerdict, message: MessageChange, style: Style): string {
  const { name } = message
  const findings = verdict.findings.filter(
    ({ code, event }) => event === name && code !== 'VERSION_TOO_LOW',
  )
  const own = findings.filter(({ consumer }) => consumer === undefined)
  const impacts = impactsOf(verdict, name)
  const lines = [headline(verdict, message, style)]
  const shown = new Set<string>()
  for (const finding of own) lines.push(...changeLines(finding, shown, style))
  for (const impact of impacts) {
    const finding = findings.find(({ consumer }) => consumer === impact.consumer)
    lines.push(...consumerLines(impact, finding, name, style))
  }
  const proves = own.find(({ witness }) => witness !== undefined)
  const isShown = findings.some(({ consumer, witness }) => consumer && witness !== undefined)
  if (proves && !isShown) {
    lines.push('  This message shows it:', `    ${JSON.stringify(proves.witness)}`)
  }
  const hint = [...own, ...findings].find((finding) => finding.hint !== undefined)?.hint
  if (hint !== undefined) lines.push(`  ${style.green('fix:')} ${hint}`)
  return lines.join('\n')
}

function headline(verdict: ContractVerdict, message: MessageChange, style: Style): string {
  const { before, after } = verdict
  const versions = before === after ? `${after}, changed` : `${before} → ${after}`
  const { name } = message
  const impacts = impactsOf(verdict, name)
  const count = (wanted: string) =>
    impacts.filter((impact) => !impact.pending && verdictOn(impact, name) === wanted).length
  const hurt = count('breaking')
  const all = verdict.findings.filter(
    ({ event, code }) => event === name && code !== 'VERSION_TOO_LOW',
  )
  const isWaived = all.length > 0 && all.every(({ severity }) => severity === 'info')
  const { red, green, yellow, bold, symbols } = style
  const title = `${bold(name)} ${versions}`
  const among = `${hurt} of ${plural(impacts.length, 'consumer')}`
  if (isWaived && message.verdict !== 'compatible') {
    return `${yellow(`${symbols.warn} ${title}`)}   ${message.verdict}, waived`
  }
  if (hurt > 0) return `${red(`${symbols.fail} ${title}`)}   breaking for ${among}`
  if (message.verdict === 'breaking') {
    const declared = verdict.isMajor ? ', as the new major version says' : ''
    return `${red(`${symbols.fail} ${title}`)}   breaking, though no consumer says that it needs this${declared}`
  }
  if (message.verdict === 'unknown' || count('unknown') > 0) {
    return `${yellow(`${symbols.warn} ${title}`)}   not known`
  }
  return `${green(`${symbols.ok} ${title}`)}   compatible, ${message.bump}`
}

/** `  total.amount: integer → string        order-placed.schema.json:18:15`, each place once. */
function changeLines(finding: Finding, shown: Set<string>, style: Style): string[] {
  const [text = ''] = finding.message.split(', so ')
  const { file, line, column } = finding
  const place = file === undefined ? '' : [file, line, column].filter(Boolean).join(':')
  const key = `${text} ${place}`
  if (shown.has(key)) return []
  shown.add(key)
  return [`  ${text.padEnd(40)}  ${style.dim(place)}`.trimEnd()]
}

function consumerLines(
  impact: ConsumerImpact,
  finding: Finding | undefined,
  event: string,
  style: Style,
): string[] {
  const pending = impact.pending ? ' (pending)' : ''
  const found = impact.events.find((each) => each.event === event)
  if (finding === undefined || found === undefined) {
    return [`  ${impact.consumer}${pending} ${style.dim('not affected')}`]
  }
  const { witness } = finding
  const lines = [`  ${style.bold(impact.consumer)}${pending} ${told(finding, impact.consumer)}`]
  if (witness !== undefined) {
    lines.push(
      `  This message is valid with the change, and ${impact.consumer} cannot read it:`,
      `    ${JSON.stringify(witness)}`,
    )
  }
  return lines
}

/** The message without the name that it begins with. */
function told({ message }: Finding, consumer: string): string {
  const plain = message.replaceAll('`', '')
  return plain.startsWith(`${consumer} `) ? plain.slice(consumer.length + 1) : plain
}

function renderLoose(finding: Finding, style: Style): string {
  const { file, line, column, message, hint, severity } = finding
  const { red, yellow, symbols } = style
  const mark = severity === 'error' ? red(symbols.fail) : yellow(symbols.warn)
  const place = file === undefined ? '' : `   ${[file, line, column].filter(Boolean).join(':')}`
  const fix = hint === undefined ? '' : `\n  ${style.green('fix:')} ${hint}`
  return `${mark} ${message}${style.dim(place)}${fix}`
}

function renderVersion(verdict: ContractVerdict, { yellow, symbols }: Style): string {
  const due = verdict.findings.find(({ code }) => code === 'VERSION_TOO_LOW')
  if (due === undefined) return ''
  return `${yellow(`${symbols.warn} ${due.message}`)}\n  ${due.hint}`
}
