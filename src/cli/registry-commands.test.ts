import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../core/secret.ts'
import { openRegistry, type Registry } from '../registry/index.ts'
import { createServer, type Server } from '../server/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { runCaptured } from './captured-run.ts'
import { sampleProject } from './sample-project.ts'

const key = 'a-key-of-some-length-for-the-test'
let store: Store
let server: Server
let registry: Registry
let url: string

async function listen(withKeys: boolean): Promise<void> {
  server = createServer({
    port: 0,
    ...(withKeys
      ? { keys: [{ name: 'ci', scopes: ['read', 'write'], key: new Secret('k', key) }] }
      : {}),
  })
  server.attachStore(store)
  url = await server.listen()
}
beforeEach(async () => {
  store = await openStore('memory:')
  registry = openRegistry(store)
  await listen(false)
})
afterEach(async () => {
  await server.close()
  await store.close()
})

async function run(cwd: string, ...argv: string[]) {
  const { code, out } = await runCaptured([...argv, '--registry', url, '--json'], {
    cwd,
    environment: { CI_KEY: key },
  })
  return { code, answer: JSON.parse(out) as Record<string, never> }
}

describe('treaty contract push', () => {
  it('registers the contracts of the project, and changes nothing the second time', async () => {
    const cwd = sampleProject()

    const first = await run(cwd, 'contract', 'push')
    const again = await run(cwd, 'contract', 'push')

    expect([first.code, first.answer.data]).toEqual([
      0,
      { contracts: [expect.objectContaining({ outcome: 'registered' })] },
    ])
    expect([again.code, again.answer.data]).toEqual([
      0,
      { contracts: [expect.objectContaining({ outcome: 'unchanged' })] },
    ])
    expect(await registry.latest()).toHaveLength(1)
  })

  it('judges without registering with --dry-run', async () => {
    const { code, answer } = await run(sampleProject(), 'contract', 'push', '--dry-run')

    expect([code, answer.data]).toEqual([
      0,
      { contracts: [expect.objectContaining({ outcome: 'judged' })] },
    ])
    expect(await registry.latest()).toEqual([])
  })

  it('fails with the code that the registry gave when it refuses', async () => {
    const cwd = sampleProject()
    await run(cwd, 'contract', 'push')
    const [known] = await registry.latest()
    const source = await registry.source(known?.hash ?? '')
    const file = join(cwd, 'changed.yaml')
    writeFileSync(file, JSON.stringify({ ...source, purpose: 'Tells something else entirely.' }))

    const { code, answer } = await run(cwd, 'contract', 'push', '--contracts', file)

    expect(code).toBe(5)
    expect(answer.error).toMatchObject({ code: 'CONTRACT_VERSION_EXISTS' })
  })

  it('registers what a consumer needs from a repository of its own', async () => {
    const cwd = sampleProject()
    await run(cwd, 'contract', 'push')
    const [known] = await registry.latest()
    const [message] = known?.messages ?? []
    const file = join(cwd, 'consumes.yaml')
    writeFileSync(
      file,
      `contract: ${known?.id}
consumers:
  statistics:
    accepts: '>=0.1'
    events: { ${message?.name}: { needs: [orderId], handling: Counts it. } }
`,
    )

    const args = ['--consumes', 'consumes.yaml', '--service-version', 'abc', '--to', 'prod']
    const { code } = await run(cwd, 'contract', 'push', ...args)

    expect(code).toBe(0)
    expect(await registry.consumers()).toMatchObject([
      { consumer: 'statistics', version: 'abc', environment: 'prod', since: known?.version },
    ])
  })

  it('sends a key by reference, and takes none in plain text', async () => {
    await server.close()
    await listen(true)
    const cwd = sampleProject()

    const without = await run(cwd, 'contract', 'push')
    const plain = await run(cwd, 'contract', 'push', '--key', key)
    const fine = await run(cwd, 'contract', 'push', '--key', 'secret://env/CI_KEY')

    expect(without.answer.error).toMatchObject({ code: 'UNAUTHENTICATED' })
    expect(plain.answer.error).toMatchObject({ code: 'SECRET_PLAIN' })
    expect(fine.code).toBe(0)
    expect(await registry.latest()).toMatchObject([{ by: 'ci' }])
  })
})

describe('treaty deployment', () => {
  it('records what runs with the versions of its contracts, and its end', async () => {
    const cwd = sampleProject()
    await run(cwd, 'contract', 'push')
    const [known] = await registry.latest()

    const begun = await run(cwd, 'deployment', 'record', 'billing', '4.1.0', '--to', 'prod')

    expect(begun.code).toBe(0)
    expect(await registry.deployments()).toMatchObject([
      { service: 'billing', version: '4.1.0', contracts: { [known?.id ?? '']: known?.version } },
    ])
    const ended = await run(cwd, 'deployment', 'end', 'billing', '4.1.0', '--to', 'prod')
    const twice = await run(cwd, 'deployment', 'end', 'billing', '4.1.0', '--to', 'prod')
    expect([ended.code, twice.code]).toEqual([0, 4])
    expect(await registry.deployments()).toEqual([])
  })

  it.each([
    [['contract', 'push', '--registry', 'ftp://x'], 'USAGE'],
    [['contract', 'push'], 'USAGE'],
    [['deployment', 'record', 'a', '1', '--registry', 'http://127.0.0.1:1'], 'USAGE'],
    [['contract', 'push', '--registry', 'http://127.0.0.1:1'], 'REGISTRY_UNAVAILABLE'],
  ])('says what is missing: %j', async (argv, code) => {
    const { out } = await runCaptured([...argv, '--json'], { cwd: sampleProject() })

    expect((JSON.parse(out) as { error: unknown }).error).toMatchObject({ code })
  })
})
