import { parseArgs } from 'node:util'
import { runSoak } from './conduct.ts'
import { openPlace, serverNames } from './place.ts'
import { reportLine, tableHead, tableRow } from './report.ts'

const usage = `npm run soak -- [BROKER|URL …] [--seconds N] [--seed N] [--rate N]

BROKER  sqlite, ${serverNames.join(', ')}: a server of its own, which is killed, too
URL     a server that others use: only our processes are killed
Default: all, one after another, ten minutes each, 100 messages a second.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '100' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const rows: string[] = []
for (const target of positionals.length === 0 ? ['sqlite', ...serverNames] : positionals) {
  const place = await openPlace(target)
  // Servers of our own would go on without us; our processes do not.
  const leave = () => void place.dispose('').finally(() => process.exit(130))
  process.once('SIGINT', leave).once('SIGTERM', leave)
  const report = await runSoak({
    place,
    soakMs: Number(values.seconds) * 1000,
    seed: Number(values.seed),
    rate: Number(values.rate),
    leaseMs: 6000,
    say: (line) => console.error(line),
  })
  process.off('SIGINT', leave).off('SIGTERM', leave)
  console.log(reportLine(report))
  rows.push(tableRow(report))
  for (const fault of report.faults) console.error(`${place.name}: ${fault}`)
  if (report.faults.length > 0) {
    console.error(`${place.name}: the evidence is in ${report.folder}`)
    process.exitCode = 1
  }
}
console.log(`${tableHead}\n${rows.join('\n')}`)
