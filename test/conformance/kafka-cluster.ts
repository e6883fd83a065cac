import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type OwnService, startOwnService } from './service-url.ts'

/** Three brokers on this machine: the first is the controller too, the others can be killed. */
export interface KafkaCluster {
  /** Names all of them. */
  readonly url: string
  /** `host:port` of the brokers that are no controller. */
  readonly others: readonly string[]
  /** SIGKILL. */
  kill(server: string): Promise<void>
  /** Starts one again that was killed. */
  start(server: string): Promise<void>
  dispose(): Promise<void>
}

const startBoundMs = 90_000
/** As a cluster that is to lose nothing has it. */
const safe = [
  'default.replication.factor=3',
  'min.insync.replicas=2',
  'offsets.topic.replication.factor=3',
  '',
].join('\n')

export async function startKafkaCluster(): Promise<KafkaCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-cluster-'))
  const first = await firstNode(folder)
  const command = commandOf(first)
  const nodes = new Map<string, Node>()
  for (const id of [2, 3]) {
    const port = await freePort()
    nodes.set(`127.0.0.1:${port}`, { ...(await formatted(folder, { command, first, id, port })) })
  }
  const node = (server: string) => nodes.get(server) as Node
  await Promise.all([...nodes.values()].map((each) => begin(each)))
  const others = [...nodes.keys()]
  return {
    url: `kafka://${[new URL(first.url).host, ...others].join(',')}`,
    others,
    kill: (server) => end(node(server)),
    start: (server) => begin(node(server)),
    async dispose() {
      await Promise.all(others.map((server) => end(node(server))))
      await first.dispose()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Node {
  readonly command: readonly string[]
  readonly log: string
  running?: ReturnType<typeof spawn>
}

async function firstNode(folder: string): Promise<OwnService> {
  const file = join(folder, 'first.properties')
  writeFileSync(file, safe)
  process.env.TREATY_KAFKA_PROPERTIES = file
  try {
    return await startOwnService('kafka')
  } finally {
    delete process.env.TREATY_KAFKA_PROPERTIES
  }
}

/** How the service starts Java, without the archive of classes that only one can write. */
function commandOf({ folder }: OwnService): readonly string[] {
  const [pid] = readFileSync(join(folder, '.services/pids/kafka'), 'utf8').split(' ')
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  return words.filter((word) => !word.startsWith('-XX:ArchiveClassesAtExit')).slice(0, -2)
}

async function formatted(
  folder: string,
  made: { command: readonly string[]; first: OwnService; id: number; port: number },
): Promise<Node> {
  const { command, first, id, port } = made
  const properties = readFileSync(join(first.folder, '.services/kafka/server.properties'), 'utf8')
  const place = join(folder, String(id))
  mkdirSync(place)
  const file = join(place, 'server.properties')
  const own = [
    'process.roles=broker',
    `node.id=${id}`,
    `listeners=PLAINTEXT://127.0.0.1:${port}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    `log.dirs=${join(place, 'data')}`,
    '',
  ].join('\n')
  writeFileSync(file, `${properties}\n${own}`)
  const log = join(place, 'log')
  const format = ['kafka.tools.StorageTool', 'format', '-g', '-t', 'AAAAAAAAQACAAAAAAAAAAA', '-c']
  const formatting = run([...command, ...format, file], join(place, 'format.log'))
  await new Promise<void>((resolve) => formatting.once('exit', () => resolve()))
  return { command: [...command, 'kafka.Kafka', file], log }
}

function run([program = 'java', ...words]: readonly string[], log: string) {
  const line = `exec "$0" "$@" > '${log}' 2>&1`
  return spawn('bash', ['-c', line, program, ...words], { stdio: 'ignore' })
}

async function begin(node: Node): Promise<void> {
  node.running = run(node.command, node.log)
  const until = performance.now() + startBoundMs
  const isUp = () =>
    existsSync(node.log) && readFileSync(node.log, 'utf8').includes('Kafka Server started')
  while (!isUp()) {
    if (performance.now() > until || node.running.exitCode !== null) {
      throw new Error(`a broker did not start: ${readFileSync(node.log, 'utf8').slice(-500)}`)
    }
    await sleep(100)
  }
}

async function end(node: Node): Promise<void> {
  const { running } = node
  if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
  const gone = new Promise<void>((resolve) => running.once('exit', () => resolve()))
  running.kill('SIGKILL')
  await gone
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
