import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import type { Check } from '../doctor/check.ts'
import { runChecks } from '../doctor/checks.ts'
import { exitCode } from '../exit-code.ts'
import type { Style } from '../style.ts'

interface Data {
  readonly checks: readonly Check[]
  readonly passed: number
  readonly warnings: number
  readonly failed: number
  readonly skipped: number
}

/** Looks for what is wrong around a project. */
export const doctor: Command<CommandTable['doctor'], Data> = {
  async run(_args, context) {
    const { checks, findings } = await runChecks(context)
    const count = (status: Check['status']) =>
      checks.filter((check) => check.status === status).length
    const data: Data = {
      checks,
      passed: count('ok'),
      warnings: count('warn'),
      failed: count('fail'),
      skipped: count('skip'),
    }
    return {
      exitCode: data.failed > 0 ? exitCode.findings : exitCode.ok,
      data,
      findings,
      toText: (style) => reportText(data, style),
    }
  },
}

function reportText(data: Data, style: Style): string {
  const { symbols, green, red, yellow, dim } = style
  const marks = {
    ok: green(`${symbols.ok} ok  `),
    warn: yellow(`${symbols.warn} warn`),
    fail: red(`${symbols.fail} fail`),
    skip: dim(`${symbols.skip} skip`),
  }
  const width = Math.min(60, Math.max(...data.checks.map(({ title }) => title.length)))
  const lines = data.checks.flatMap(({ status, title, found, fix }) => {
    const line = ` ${marks[status]}  ${title.padEnd(width)}  ${found}`
    return fix === null ? [line] : [line, `         ${dim('try:')} ${fix}`]
  })
  const counts = [
    ...(data.failed > 0 ? [red(`${data.failed} failed`)] : []),
    ...(data.warnings > 0
      ? [yellow(`${data.warnings} ${data.warnings === 1 ? 'warning' : 'warnings'}`)]
      : []),
    `${data.passed} passed`,
    ...(data.skipped > 0 ? [`${data.skipped} skipped`] : []),
  ]
  return `${lines.join('\n')}\n\n ${counts.join(', ')}`
}
