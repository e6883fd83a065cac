import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'

/** A server with settings of its own. */
export interface NatsServer {
  readonly port: number
  readonly folder: string
  /** Freezes the process, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  stop(): Promise<void>
}

function serverPath(): string {
  const cache = process.env.TREATY_SERVICES_CACHE
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const path =
    process.env.NATS_SERVER ?? join(cache ?? join(base, 'treaty-services'), 'nats-server')
  if (!existsSync(path)) throw new Error(`no nats-server at ${path}: services/up nats`)
  return path
}

async function freePort(): Promise<number> {
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  return port
}

/** Starts nats-server with these lines of configuration; `FOLDER` in them is its own folder, and gone with it. */
export async function startNatsServer(lines: string, given?: number): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-nats-'))
  const port = given ?? (await freePort())
  const config = join(folder, 'nats.conf')
  writeFileSync(config, `host: 127.0.0.1\nport: ${port}\n${lines.replaceAll('FOLDER', folder)}\n`)
  const child: ChildProcess = spawn(serverPath(), ['-c', config], { stdio: 'ignore' })
  await untilListening(port)
  return {
    port,
    folder,
    signal: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) {
        await new Promise((resolve) => child.once('exit', resolve))
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Three servers of one cluster, called `n0` to `n2`, with JetStream; resolves once they have a leader and know each other. */
export async function startNatsCluster(): Promise<readonly NatsServer[]> {
  const routes = [await freePort(), await freePort(), await freePort()]
  const servers = await Promise.all(
    routes.map((route, at) =>
      startNatsServer(`server_name: n${at}
jetstream { store_dir: "FOLDER/data" }
cluster {
  name: treaty
  host: 127.0.0.1
  port: ${route}
  routes: [${routes.map((each) => `"nats://127.0.0.1:${each}"`).join(', ')}]
}`),
    ),
  )
  await untilThree(servers[0] as NatsServer)
  return servers
}

/** A stream on all three can be made. */
async function untilThree({ port }: NatsServer): Promise<void> {
  const connection = await connect({ servers: `127.0.0.1:${port}` })
  try {
    for (let tried = 0; tried < 120; tried += 1) {
      const probe = JSON.stringify({ name: 'probe', subjects: ['probe'], num_replicas: 3 })
      const made = await connection
        .request('$JS.API.STREAM.CREATE.probe', probe, { timeout: 2000 })
        .then(
          (answer) => answer.json<{ error?: unknown }>().error === undefined,
          () => false,
        )
      if (made) {
        await connection.request('$JS.API.STREAM.DELETE.probe', '', { timeout: 5000 })
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    throw new Error('the cluster has no leader after half a minute')
  } finally {
    await connection.close()
  }
}

async function untilListening(port: number): Promise<void> {
  for (let tried = 0; tried < 200; tried += 1) {
    try {
      const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false })
      await connection.close()
      return
    } catch (error) {
      // Whoever asks for credentials listens.
      if (!/refused/i.test(String(error))) return
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
  throw new Error(`nats-server does not listen on ${port}`)
}
