// Runs every example that says what it prints, and compares. Usage: node scripts/run-examples.ts [NAME]
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '..', 'examples')
const wanted = process.argv[2]
if (wanted === '--help') {
  console.log('node scripts/run-examples.ts [NAME]: runs the examples and compares what they print')
  process.exit(0)
}
const names = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, 'expected.txt')))
  .filter((name) => wanted === undefined || name.includes(wanted))
let failed = 0
for (const name of names) {
  const expected = readFileSync(join(folder, name, 'expected.txt'), 'utf8')
  const run = spawnSync(process.execPath, [join(folder, name, 'main.ts')], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  const isRight = run.status === 0 && run.stdout === expected
  console.log(`${isRight ? 'ok    ' : 'FAIL  '}${name}`)
  if (isRight) continue
  failed += 1
  console.log(
    `exit ${run.status}\n--- expected\n${expected}--- printed\n${run.stdout}${run.stderr}`,
  )
}
console.log(`${names.length - failed} passed, ${failed} failed`)
process.exit(failed === 0 && names.length > 0 ? 0 : 1)
