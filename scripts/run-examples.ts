// Runs every example that says what it prints, and compares. Usage: node scripts/run-examples.ts [NAME]
// One with a transports.json runs once on each of them; a broker that services/up has not started is skipped, or is a
// failure with TREATY_REQUIRE_SERVICES=1.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'examples')
const wanted = process.argv[2]
if (wanted === '--help') {
  console.log('node scripts/run-examples.ts [NAME]: runs the examples and compares what they print')
  process.exit(0)
}
const tally = { passed: 0, failed: 0, skipped: 0 }
const work = mkdtempSync(join(tmpdir(), 'treaty-examples-'))

interface Run {
  readonly title: string
  readonly args: readonly string[]
  /** Why it cannot be run. */
  readonly missing?: string
}

function serviceUrls(): Readonly<Record<string, string>> {
  const status = spawnSync(join(root, 'services/status'), ['--json'], { encoding: 'utf8' })
  if (status.status !== 0) return {}
  return (JSON.parse(status.stdout) as { urls?: Record<string, string> }).urls ?? {}
}

/** The runs of one example. */
function runsOf(name: string): readonly Run[] {
  const list = join(folder, name, 'transports.json')
  if (!existsSync(list)) return [{ title: name, args: [] }]
  const urls = serviceUrls()
  return (JSON.parse(readFileSync(list, 'utf8')) as string[]).map((transport) => {
    const title = `${name} on ${transport.replace(':', '')}`
    if (transport === 'memory:') return { title, args: [transport] }
    if (transport === 'sqlite') return { title, args: [`sqlite:${join(work, 'example.db')}`] }
    const url = urls[transport]
    if (url !== undefined) return { title, args: [url] }
    return { title, args: [], missing: `it does not run: services/up ${transport}` }
  })
}

function runOne(name: string, { title, args, missing }: Run): void {
  if (missing !== undefined) {
    const isFailure = process.env.TREATY_REQUIRE_SERVICES === '1'
    tally[isFailure ? 'failed' : 'skipped'] += 1
    console.log(`${isFailure ? 'FAIL  ' : 'skip  '}${title}: ${missing}`)
    return
  }
  const expected = readFileSync(join(folder, name, 'expected.txt'), 'utf8')
  const run = spawnSync(process.execPath, [join(folder, name, 'main.ts'), ...args], {
    encoding: 'utf8',
    timeout: 90_000,
  })
  const isRight = run.status === 0 && run.stdout === expected
  console.log(`${isRight ? 'ok    ' : 'FAIL  '}${title}`)
  tally[isRight ? 'passed' : 'failed'] += 1
  if (isRight) return
  console.log(
    `exit ${run.status}\n--- expected\n${expected}--- printed\n${run.stdout}${run.stderr}`,
  )
}

const names = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, 'expected.txt')))
  .filter((name) => wanted === undefined || name.includes(wanted))
for (const name of names) for (const run of runsOf(name)) runOne(name, run)
rmSync(work, { recursive: true, force: true })
const skipped = tally.skipped === 0 ? '' : `, ${tally.skipped} skipped`
console.log(`${tally.passed} passed, ${tally.failed} failed${skipped}`)
process.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1)
