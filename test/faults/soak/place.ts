import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isTreatyError, openTransport } from '../../../src/index.ts'
import { freshSchema } from '../../conformance/postgres-place.ts'
import type { ServiceName } from '../../conformance/service-url.ts'
import { startOwnService } from '../../conformance/service-url.ts'

export const serverNames = ['postgres', 'redis', 'nats', 'rabbitmq', 'kafka'] as const

/** A broker that may be killed. */
export interface OwnBroker {
  /** SIGKILL. */
  kill(): void
  /** Again on its data; resolves when it is ready. */
  start(): Promise<void>
}

/** Where a soak takes place. */
export interface Place {
  readonly name: string
  readonly url: string
  readonly broker?: OwnBroker
  /** Takes away what the run has made. */
  dispose(run: string): Promise<void>
}

/** A file of its own for `sqlite`; a server of its own for the name of a service; any other text is the URL of a server that is shared. */
export async function openPlace(target: string): Promise<Place> {
  if (target === 'sqlite') return sqlitePlace()
  const service = serverNames.find((name) => name === target)
  if (service !== undefined) return ownPlace(service)
  return sharedPlace(target)
}

function sqlitePlace(): Place {
  const file = join(tmpdir(), `treaty-soak-${randomUUID().slice(0, 8)}.db`)
  return {
    name: 'sqlite',
    url: `sqlite:${file}`,
    async dispose() {
      for (const end of ['', '-wal', '-shm']) await rm(file + end, { force: true })
    },
  }
}

async function ownPlace(name: ServiceName): Promise<Place> {
  const own = await startOwnService(name)
  return {
    name,
    url: own.url,
    broker: { kill: () => own.kill(), start: () => own.start() },
    dispose: () => own.dispose(),
  }
}

/** On PostgreSQL in a schema of its own; elsewhere names tell a run from others. */
function sharedPlace(url: string): Place {
  const name = new URL(url).protocol.replace(':', '')
  if (name.startsWith('postgres')) {
    const schema = freshSchema(url)
    return { name, url: schema.url, dispose: schema.drop }
  }
  return { name, url, dispose: (run) => takeAway(url, run) }
}

/** A broker counts who was killed as connected until its session is over. */
async function takeAway(url: string, run: string): Promise<void> {
  const transport = await openTransport(url)
  await transport.connect()
  try {
    const there = await transport.inventory?.()
    const names = (there?.groups ?? []).map(({ name }) => name)
    const addresses = (there?.channels ?? []).map(({ address }) => address)
    const surplus = {
      subscriptions: [],
      groups: names.filter((name) => name.startsWith(`soak.r${run}.`)),
      channels: addresses.filter((address) => address.startsWith(`soak.${run}.`)),
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        await transport.remove?.(surplus)
        return
      } catch (error) {
        if (!isTreatyError(error) || error.code !== 'TOPOLOGY_IN_USE' || attempt > 60) throw error
        await sleep(500)
      }
    }
  } finally {
    await transport.close({ drainMs: 0 })
  }
}
