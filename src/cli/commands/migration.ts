import type { MigrationReport, Retirement } from '../../contracts/compat/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { projectContracts } from '../project.ts'
import type { Style } from '../style.ts'

/** Shows how far changes of format have come, and when old fields and events can go. */
export const migration: Command<
  CommandTable['migration'],
  { readonly contracts: readonly MigrationReport[] }
> = {
  async run({ against }, context) {
    const contracts = await projectContracts(context)
    const { migrationReport } = await import('../../contracts/compat/index.ts')
    const { loadBaseline } = await import('../evolution/baseline.ts')
    const { contracts: paths } = await context.settings()
    const { cwd, stopping: signal, clock } = context
    const ids = contracts.map(({ id }) => id)
    const baseline =
      against === undefined ? undefined : await loadBaseline({ against, paths, cwd, ids, signal })
    const reports = contracts.map((contract) => {
      const from = baseline?.versions.get(contract.id)?.at(-1)
      return migrationReport(contract, {
        now: new Date(clock.now()),
        ...(from === undefined ? {} : { from }),
      })
    })
    return {
      data: { contracts: reports },
      toText(style) {
        const told = reports.filter(
          ({ retirements, steps }) => retirements.length > 0 || steps.length > 0,
        )
        if (told.length === 0) return 'nothing is deprecated'
        return told.map((report) => renderReport(report, style)).join('\n\n')
      },
    }
  },
}

function renderReport({ id, version, retirements, steps }: MigrationReport, style: Style): string {
  const { bold, green, dim, symbols } = style
  const stepLines = steps.flatMap(({ title, done, open }, at) => [
    `  ${done ? green(`${symbols.ok} done`) : `${symbols.skip} open`}  ${at + 1}. ${title}`,
    ...open.map((text) => `          ${dim(text)}`),
  ])
  return [
    bold(`${id} ${version}`),
    ...stepLines,
    ...retirements.map((each) => renderRetirement(each, style)),
  ].join('\n')
}

function renderRetirement(retirement: Retirement, { green, yellow, red, symbols }: Style): string {
  const { event, field, sunset, use, neededBy, unknownTo, canGo, isOverdue } = retirement
  const what = field === undefined ? event : `${field} of ${event}`
  const more = [
    ...(use === undefined ? [] : [`use ${use}`]),
    ...(sunset === undefined ? [] : [`sunset ${sunset}${isOverdue ? ', which has passed' : ''}`]),
  ]
  const notes = more.length === 0 ? '' : `  (${more.join(', ')})`
  if (canGo) return `  ${green(`${symbols.ok} can go`)}  ${what}: nobody needs it${notes}`
  const holders = [...neededBy, ...unknownTo.map((name) => `${name}?`)].join(', ')
  const mark = isOverdue ? red(`${symbols.fail} overdue`) : yellow(`${symbols.warn} stays`)
  return `  ${mark}  ${what}: needed by ${holders}${notes}`
}
