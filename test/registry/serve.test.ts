import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sampleSource } from './sample-contract.ts'

/** `treaty serve` as a process of its own. */

const main = resolve(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
const children = new Set<ChildProcess>()
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-serve-'))
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  rmSync(folder, { recursive: true, force: true })
})

interface Running {
  readonly url: string
  out(): string
  stop(): Promise<number | null>
}

async function serve(...more: string[]): Promise<Running> {
  const file = join(folder, 'orders.yaml')
  const args = ['serve', '--port', '0', '--store', 'registry.db', '--contracts', file, ...more]
  const child = spawn(process.execPath, [main, ...args], { cwd: folder })
  children.add(child)
  let out = ''
  const ended = new Promise<number | null>((done) => child.on('exit', done))
  const url = await new Promise<string>((ready, failed) => {
    const read = (chunk: Buffer) => {
      out += chunk.toString()
      const found = /ready (http:\/\/\S+)/.exec(out)?.[1]
      if (found) ready(found)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    void ended.then((code) => failed(new Error(`ended with ${code}\n${out}`)))
  })
  return {
    url,
    out: () => out,
    stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

function write(version: string, purpose: string): void {
  const source = { ...sampleSource(version), purpose }
  writeFileSync(join(folder, 'orders.yaml'), JSON.stringify(source))
}
/** The items of a list, or the list itself. */
async function read(url: string): Promise<readonly unknown[]> {
  const answer = (await (await fetch(url)).json()) as { items?: unknown[] } & unknown[]
  return answer.items ?? answer
}

test('registers what it is given, once, and goes on where it is refused', async () => {
  write('2.1.0', 'Tells every service that an order was placed.')
  const first = await serve()
  const items = await read(`${first.url}/api/contracts/shop.orders/versions`)
  expect(items).toMatchObject([{ version: '2.1.0', by: 'start' }])
  expect(await first.stop()).toBe(0)

  const again = await serve()
  expect(await read(`${again.url}/api/audit`)).toHaveLength(1)
  await again.stop()

  write('2.1.0', 'Tells something else.')
  const changed = await serve('--confluent-at', '/')
  expect(changed.out()).toContain('shop.orders 2.1.0 was registered with other content')
  expect(await read(`${changed.url}/api/contracts/shop.orders/versions`)).toEqual(items)
  expect(await read(`${changed.url}/subjects`)).toEqual([])
  expect(await changed.stop()).toBe(0)
})
