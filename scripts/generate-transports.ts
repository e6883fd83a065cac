// Writes docs/reference/transports.md from what each transport says of itself and from the last run of the conformance suite.
// Usage: vitest run --project crossing test/conformance/transport. --reporter=json --outputFile=run.json
//        node scripts/generate-transports.ts [run.json …]      (without a file: from the run that was kept last; a behaviour that was
//        tried again alone counts as it ended the last time)
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transportsMarkdown } from '../test/docs/transports-page.ts'
import { keptRun, mergeRuns, type Run, readRun } from '../test/docs/transports-run.ts'

const folder = join(import.meta.dirname, '..', 'docs', 'reference')
const kept = join(folder, 'conformance.json')
const before: Run = existsSync(kept) ? keptRun(readFileSync(kept, 'utf8')) : {}
const reports = process.argv.slice(2).map((file) => readRun(readFileSync(file, 'utf8')))
const run = reports.reduce(mergeRuns, before)
writeFileSync(kept, `${JSON.stringify(run, null, 1)}\n`)
writeFileSync(join(folder, 'transports.md'), await transportsMarkdown(run))
