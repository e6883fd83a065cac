// Builds dist/ from src/. Runs on any Node that npm itself runs on: the compiler is a native binary.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const tsc = join('node_modules', '.bin', 'tsc')
if (!existsSync(tsc)) {
  // `npm install --omit=dev` of a checkout: nothing to build with, and nothing was asked to be built.
  console.error('build skipped: typescript is not installed (a development dependency)')
  process.exit(0)
}
rmSync('dist', { recursive: true, force: true })
const result = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
process.exit(result.status ?? 1)
