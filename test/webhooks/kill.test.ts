import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, it } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { openBus } from '../../src/messaging/index.ts'
import { contract } from './payments.ts'

/** Kills of each; the soak asks for 200, also in pieces: TREATY_KILLS=50 with another TREATY_SEED for each piece. */
const rounds = Number(process.env.TREATY_KILLS ?? (process.env.TREATY_SOAK === 'full' ? 200 : 6))
const seed = Number(process.env.TREATY_SEED ?? 7)

const children = new Set<ChildProcess>()
const folders: string[] = []
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

interface Child {
  readonly process: ChildProcess
  readonly exited: Promise<unknown>
}

/** Starts a child and gives it back once it is ready; `onLine` gets its further lines. */
async function start(
  file: string,
  args: readonly string[],
  onLine: (line: string) => void = () => undefined,
): Promise<Child> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  const exited = once(child, 'close').then(() => children.delete(child))
  const ready = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'ready') ready.resolve()
    else onLine(line)
  })
  await Promise.race([ready.promise, exited])
  return { process: child, exited }
}

async function kill(child: Child): Promise<void> {
  child.process.kill('SIGKILL')
  await child.exited
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

it('sender and receiver are killed again and again: no committed message is lost, none arrives twice', {
  timeout: rounds * 20_000 + 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-webhooks-'))
  folders.push(folder)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/hooks/psp`
  const random = seededRandom(seed)
  const committed: string[] = []
  const onLine = (line: string) => {
    if (line.startsWith('committed ')) committed.push(line.slice('committed '.length))
  }
  const live = () => new Promise((resolve) => setTimeout(resolve, 100 + random() * 500))

  let receiver = await start('receiver-child.ts', [folder, String(port)])
  for (let round = 0; round < rounds; round += 1) {
    const sender = await start('sender-child.ts', [folder, url, 'send'], onLine)
    await live()
    await kill(receiver)
    await live()
    receiver = await start('receiver-child.ts', [folder, String(port)])
    await live()
    await kill(sender)
  }
  const last = await start('sender-child.ts', [folder, url, 'drain'])
  await last.exited
  expect(last.process.exitCode).toBe(0)
  await kill(receiver)

  const bus = await openBus({ contracts: [contract], transport: `sqlite:${folder}/bus.db` })
  const arrived: string[] = []
  let cursor: string | undefined
  do {
    const page = await bus.messages({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) })
    for (const { record } of page.items) arrived.push(record.headers['webhook-id'] ?? '')
    cursor = page.next
  } while (cursor !== undefined)
  await bus.close({ drainMs: 0 })

  expect(committed.length).toBeGreaterThan(rounds * 5)
  const found = new Set(arrived)
  expect(committed.filter((id) => !found.has(id))).toEqual([])
  expect(arrived.length).toBe(found.size)
  if (rounds >= 50) {
    process.stdout.write(
      `seed ${seed}: ${rounds} kills of each, ${committed.length} committed, ${arrived.length} arrived\n`,
    )
  }
})
