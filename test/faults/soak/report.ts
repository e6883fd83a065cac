import type { SoakReport } from './conduct.ts'

/** The report as one line of JSON; of long lists their length. */
export const reportLine = (report: SoakReport): string =>
  JSON.stringify({ ...report, lost: report.lost.length, overtaken: report.overtaken.length })

export const tableHead = `| broker | seconds | killed, frozen, left | broker killed | acknowledged | unknown, of these arrived | handled | dead | expired | lost | overtaken | repeated | the ledger |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |`

/** A row of the fault ledger. `handled`, `dead` and `expired` are message × consumer. */
export function tableRow(report: SoakReport): string {
  const blows = Object.entries(report.blows)
  const sum = (ending: string) =>
    blows.filter(([what]) => what.endsWith(ending)).reduce((total, [, count]) => total + count, 0)
  const processes = `${sum(' killed') - (report.blows['broker killed'] ?? 0)}, ${sum(' frozen')}, ${sum(' left')}`
  const cells = [
    report.broker,
    Math.round(report.soakMs / 1000),
    processes,
    report.blows['broker killed'] ?? '–',
    report.acknowledged,
    `${report.unknown}, ${report.unknownArrived}`,
    report.handled,
    report.dead,
    report.expired,
    report.lost.length,
    report.overtaken.length,
    report.repeated,
    report.faults.length === 0 ? 'balances' : report.faults.join('; '),
  ]
  return `| ${cells.join(' | ')} |`
}
