import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import type { BenchOptions } from './measure.ts'
import { type Report, renderJson, renderTable } from './report.ts'

// npm run bench -- NAME [--json] [--rounds N] [--smoke] [--only PART,…]
// Prints the table, and as its last line the same as JSON. Without a NAME: lists the benches.

interface BenchModule {
  bench(options: BenchOptions): Promise<Report>
}

const benches: Readonly<Record<string, () => Promise<BenchModule>>> = {
  bus: () => import('./bus.ts'),
  check: () => import('./check.ts'),
  compat: () => import('./compat.ts'),
  http: () => import('./http.ts'),
  memory: () => import('./memory.ts'),
  scale: () => import('./scale.ts'),
  'scale-extras': () => import('./scale-extras.ts'),
  transports: () => import('./transports.ts'),
  validate: () => import('./validate.ts'),
  webhooks: () => import('./webhooks.ts'),
}

function machine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor'
  return `${cpus().length} × ${model}, Node ${process.version}`
}

/** Processes that wanted to run in the last minute: what else the machine had to do shows here. */
function load(): string {
  return loadavg()[0]?.toFixed(1) ?? ''
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
  },
})
const loadBench = benches[positionals[0] ?? '']
if (loadBench === undefined) {
  console.error(`usage: npm run bench -- NAME [--json] [--rounds N] [--smoke] [--only PART,…]
NAME is one of: ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}
if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  console.error('the package is not built: run npm run build first')
  process.exit(2)
}
const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5))
const { bench } = await loadBench()
const loadBefore = load()
const report = await bench({
  rounds,
  isSmoke: values.smoke,
  ...(values.only === undefined ? {} : { only: values.only.split(',') }),
})
const notes = [
  `treatyjs ${version}; ${machine()}; load ${loadBefore} before and ${load()} after; medians of ${rounds} rounds, sides interleaved${values.smoke ? '; SMOKE RUN, the numbers mean nothing' : ''}`,
  ...report.notes,
]
console.log(renderTable({ ...report, notes }))
// The last line in any case; --json is what programs say to be sure of it.
console.log(renderJson(report))
