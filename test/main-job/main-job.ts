import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { delay, systemClock } from '../../src/core/clock.ts'

const root = join(import.meta.dirname, '..', '..')

/** One line of `treaty start --json`. */
export interface StartRecord {
  readonly kind: string
  readonly url?: string
  readonly service?: string
  readonly pid?: number
  readonly text?: string
}
export interface Counts {
  readonly published: number
  readonly deliveries: number
  readonly handled: number
  readonly skipped: number
  readonly dead: number
  readonly expired: number
  readonly waiting: number
}
export interface Stats extends Counts {
  readonly byEvent: Readonly<Record<string, Counts>>
}

/** `treaty start` of this repository as a process, from outside. */
export interface MainJob {
  readonly url: string
  readonly records: readonly StartRecord[]
  readonly process: ChildProcess
  /** Process id of a service that runs now. */
  pidOf(service: string): number | undefined
  stats(): Promise<Stats>
  /** Resolves with the counts once `holds`. */
  until(holds: (stats: Stats) => boolean, what: string, limitMs: number): Promise<Stats>
  /** Resolves with the counts once the job says that it is at rest. */
  rest(limitMs: number): Promise<Stats>
  /** Sends the signal and resolves with the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>
}

/** Starts the main job on a store file and a free port; resolves once it says that it is ready. */
export async function startMainJob(file: string): Promise<MainJob> {
  const child = spawn(
    process.execPath,
    ['bin/treaty.js', 'start', '--json', '--port', '0', '--store', file],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } },
  )
  const records: StartRecord[] = []
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code ?? -1))
  })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const record = JSON.parse(line) as StartRecord
      records.push(record)
      if (record.kind === 'ready' && record.url !== undefined) resolve(record.url)
    })
    void ended.then((code) =>
      reject(new Error(`treaty start ended with ${code} before it was ready: ${errors}`)),
    )
  })
  const stats = async () => (await (await fetch(`${url}/api/stats`)).json()) as Stats
  const until: MainJob['until'] = async (holds, what, limitMs) => {
    const deadline = systemClock.monotonic() + limitMs
    for (;;) {
      const now = await stats()
      if (holds(now)) return now
      if (systemClock.monotonic() > deadline) {
        throw new Error(`${what}: not within ${limitMs} ms\n${JSON.stringify(now)}\n${errors}`)
      }
      await delay(systemClock, 100)
    }
  }
  return {
    url,
    records,
    process: child,
    pidOf(service) {
      const last = records.findLast(
        (record) => record.service === service && /^service-(started|ended)$/.test(record.kind),
      )
      return last?.kind === 'service-started' ? last.pid : undefined
    },
    stats,
    until,
    rest: (limitMs) =>
      until(() => records.some(({ kind }) => kind === 'rest'), 'it comes to rest', limitMs),
    async end(signal) {
      child.kill(signal)
      return ended
    },
  }
}

/** Rows of a query on the store file, read beside whoever writes it. */
export function rowsOf<Row>(file: string, sql: string): Row[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  try {
    return database.prepare(sql).all() as Row[]
  } finally {
    database.close()
  }
}
