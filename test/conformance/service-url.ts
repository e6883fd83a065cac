import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, it } from 'vitest'

export type ServiceName = 'kafka' | 'nats' | 'rabbitmq' | 'redis' | 'postgres' | 'toxiproxy'

const root = resolve(import.meta.dirname, '..', '..')

interface Status {
  readonly urls?: Readonly<Partial<Record<ServiceName, string>>>
}

/** URL of a real server: of the environment (`TREATY_POSTGRES_URL`), else of this checkout's `services/up`. */
export function serviceUrl(name: ServiceName): string | undefined {
  const named = process.env[`TREATY_${name.toUpperCase()}_URL`]
  if (named !== undefined && named !== '') return named
  const status = spawnSync(join(root, 'services/status'), ['--json'], { encoding: 'utf8' })
  if (status.status !== 0) return undefined
  return (JSON.parse(status.stdout) as Status).urls?.[name]
}

/**
 * Describes tests that need a real server. Where it does not run they are listed as skipped, with the reason; with
 * `TREATY_REQUIRE_SERVICES=1` that is a failure.
 */
export async function withService(
  name: ServiceName,
  register: (url: string) => Promise<void> | void,
): Promise<void> {
  const url = serviceUrl(name)
  if (url !== undefined) return register(url)
  const reason = `${name} does not run: services/up ${name}`
  describe(name, () => {
    if (process.env.TREATY_REQUIRE_SERVICES !== '1') {
      it.skip(`(skipped: ${reason})`, () => undefined)
      return
    }
    it('runs', () => {
      throw new Error(reason)
    })
  })
}

/** A server of one's own, to be killed and restarted. */
export interface OwnService {
  readonly url: string
  /** Its checkout of `services/`, with state and data under `.services/`. */
  readonly folder: string
  /** SIGKILL, as power loss looks to clients. */
  kill(): void
  /** Starts it again on the same port and data, and waits until it is ready. */
  start(): Promise<void>
  dispose(): Promise<void>
}

/** Starts a server beside the shared one, with the same scripts. */
export async function startOwnService(name: ServiceName): Promise<OwnService> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-services-'))
  cpSync(join(root, 'services'), join(folder, 'services'), { recursive: true })
  const run = async (script: string, ...args: string[]) =>
    (await promisify(execFile)(join(folder, 'services', script), args)).stdout
  const start = async () => void (await run('up', name))
  await start()
  const url = (JSON.parse(await run('status', '--json')) as Status).urls?.[name]
  if (url === undefined) throw new Error(`services/up gave no URL for ${name}`)
  return {
    url,
    folder,
    start,
    kill() {
      const [pid] = readFileSync(join(folder, '.services/pids', name), 'utf8').split(' ')
      process.kill(Number(pid), 'SIGKILL')
    },
    async dispose() {
      await run('down', '--wipe')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
