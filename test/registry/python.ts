import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const folder = resolve(import.meta.dirname, '..', '..', '.services', 'python')
const requirement = 'confluent-kafka[schemaregistry,json]==2.16.0'

export type Python =
  | { readonly path: string }
  /** `hasTools`: python3 and pip are there, so that only the download is missing. */
  | { readonly reason: string; readonly hasTools: boolean }

/** A Python that has the Confluent client, in a folder that is kept between runs. */
export async function findPython(): Promise<Python> {
  const path = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'ready'))) return { path }
  try {
    await run('python3', ['-m', 'pip', '--version'], { timeout: 30_000 })
  } catch {
    return { reason: 'there is no python3 with pip', hasTools: false }
  }
  try {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    await run('python3', ['-m', 'venv', folder], { timeout: 60_000 })
    const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', requirement]
    await run(path, install, { timeout: 240_000 })
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
): Promise<Record<string, unknown>> {
  const { stdout } = await run(path, args as string[], { timeout: 60_000 })
  return JSON.parse(stdout) as Record<string, unknown>
}
