import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** The clients that tests run beside ours. */
const requirements = [
  'confluent-kafka[schemaregistry,json]==2.16.0',
  'aiokafka==0.14.0',
  'nats-py==2.16.0',
  'pika==1.4.4',
  'redis==8.1.0',
]
const digest = hash('sha256', requirements.join('\n')).slice(0, 8)
const folder = resolve(import.meta.dirname, '..', '..', '.services', `python-${digest}`)
const lock = `${folder}.lock`
const installMsMax = 300_000

export type Python =
  | { readonly path: string }
  /** `hasTools`: python3 and pip are there, so that only the download is missing. */
  | { readonly reason: string; readonly hasTools: boolean }

/** A Python that has these clients, in a folder that is kept between runs. */
export async function findPython(): Promise<Python> {
  const path = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'ready'))) return { path }
  try {
    await run('python3', ['-m', 'pip', '--version'], { timeout: 30_000 })
  } catch {
    return { reason: 'there is no python3 with pip', hasTools: false }
  }
  if (!takeLock()) {
    await untilReady()
    return findPython()
  }
  try {
    return await install(path)
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/** False: another test file is installing. */
function takeLock(): boolean {
  try {
    mkdirSync(join(folder, '..'), { recursive: true })
    mkdirSync(lock)
    return true
  } catch {
    // One that was left behind by a run that was killed is too old to be anybody's.
    const ageMs = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    if (ageMs > installMsMax) rmSync(lock, { recursive: true, force: true })
    return false
  }
}

async function untilReady(): Promise<void> {
  while (existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 200))
}

async function install(path: string): Promise<Python> {
  try {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    await run('python3', ['-m', 'venv', folder], { timeout: 60_000 })
    const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...requirements]
    await run(path, pip, { timeout: installMsMax - 60_000 })
    mkdirSync(join(folder, 'ready'))
    return { path }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    const text = String((error as { stderr?: unknown }).stderr ?? error).trim()
    return { reason: `pip cannot install it: ${text.split('\n').at(-1)}`, hasTools: true }
  }
}

/** Runs a script, and gives the JSON object that it prints. */
export async function runScript(
  path: string,
  args: readonly string[],
  input?: string,
): Promise<Record<string, unknown>> {
  const running = run(path, args as string[], { timeout: 60_000 })
  running.child.stdin?.end(input)
  const { stdout } = await running
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>
}
