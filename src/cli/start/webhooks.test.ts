import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openBus } from '../../messaging/index.ts'
import { createServer } from '../../server/index.ts'
import { openStore } from '../../store/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { openWebhooks, sign, type WebhooksConfig } from '../../webhooks/index.ts'
import { createMasker } from '../masking.ts'
import { loadWebhookModule, openDoor, openSecrets, type WebhookPlan } from './webhooks.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function planOf(config: WebhooksConfig, folder = tmpdir()): WebhookPlan & { shown: () => string } {
  const masker = createMasker()
  return {
    config,
    folder,
    reveal: (reference) => masker.reveal(reference, { GIVEN: 'from the environment' }),
    conceal: (secret) => masker.add(secret),
    shown: () => masker.mask('from the environment'),
  }
}
const quiet = { onReceiver: () => undefined, onSender: () => undefined }
const sourceWith = (...secrets: string[]): WebhooksConfig => ({
  sources: { psp: { verify: { scheme: 'github', secrets }, handle: './h.mjs' } },
})

describe('the secrets of a plan', () => {
  it('in files are read again, so that a change needs no restart, and survive a file that is just gone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-secrets-'))
    const file = join(folder, 'hook')
    writeFileSync(file, 'first\n')
    const clock = fakeClock()
    const store = await openStore('memory:', { clock })
    const reference = `secret://file${file}`
    const secret = await openSecrets(planOf(sourceWith(reference)), store, clock)

    expect(secret(reference)).toBe('first')
    writeFileSync(file, 'second')
    expect(secret(reference)).toBe('first')
    await clock.advance(6000)
    expect(secret(reference)).toBe('second')
    writeFileSync(file, '')
    await clock.advance(6000)
    expect(secret(reference)).toBe('second')
    await store.close()
  })

  it('of the store are made once and kept; others must be there', async () => {
    const store = await openStore('memory:')
    const reference = 'secret://store/github'
    const first = (await openSecrets(planOf(sourceWith(reference)), store))(reference)
    const again = (await openSecrets(planOf(sourceWith(reference)), store))(reference)
    expect(first).toMatch(/^whsec_[\w+/=]{40,}$/)
    expect(again).toBe(first)

    const missing = planOf(sourceWith('secret://env/MISSING'))
    await expect(openSecrets(missing, store)).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
    const given = planOf(sourceWith('secret://env/GIVEN'))
    expect((await openSecrets(given, store))('secret://env/GIVEN')).toBe('from the environment')
    expect(given.shown()).not.toContain('environment')
    await store.close()
  })
})

describe('the door for webhooks', () => {
  async function opened(source: object = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-door-'))
    writeFileSync(
      join(folder, 'h.mjs'),
      "export const handle = async ({ json }) => ({ body: 'got ' + json.n })\n",
    )
    const base = sourceWith('secret://env/GIVEN').sources?.psp
    const config = { sources: { psp: { ...base, ...source } } } as WebhooksConfig
    const plan = planOf(config, folder)
    const server = createServer({ port: 0 })
    const door = await openDoor(server, config, quiet)
    const url = await server.listen()
    closing.push(() => server.close())
    const bus = await openBus({ contracts: 'contracts/a2a-v1', transport: 'memory:' })
    const store = await openStore('memory:')
    closing.push(
      () => store.close(),
      () => bus.close({ drainMs: 0 }),
    )
    const webhooks = await openWebhooks(config, {
      bus,
      store,
      secret: await openSecrets(plan, store),
      load: (path) => loadWebhookModule(folder, path),
      onReceiver: door.onReceiver,
    })
    const rawBody = Buffer.from('{"n":1}')
    const secrets = ['from the environment']
    const signed = sign({ scheme: 'github', secrets, id: 'd', timestamp: new Date(), rawBody })
    const headers = { 'x-github-delivery': 'd', ...signed }
    const post = (path: string) => fetch(url + path, { method: 'POST', headers, body: rawBody })
    return { door, webhooks, post, url }
  }

  it('answers 503 until the webhooks are open and after they are closed, and counts what it takes', async () => {
    const { door, webhooks, post, url } = await opened()
    const early = await post('/hooks/psp')
    expect([early.status, early.headers.get('retry-after')]).toEqual([503, '1'])

    door.attach(webhooks)
    const taken = await post('/hooks/psp')
    expect([taken.status, await taken.text()]).toEqual([200, 'got 1'])
    expect((await post('/hooks/nobody')).status).toBe(404)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('treaty_webhook_requests_total{source="psp",outcome="handled"} 1')
    expect(await (await fetch(`${url}/api/webhooks/sources`)).json()).toMatchObject({
      items: [{ name: 'psp', path: '/hooks/psp', outcomes: { handled: 1 } }],
    })

    await door.close(1000)
    expect((await post('/hooks/psp')).status).toBe(503)
  })

  it('has a path of its own for a source that asks for one, and no other', async () => {
    const { door, webhooks, post } = await opened({ path: '/incoming/psp' })
    door.attach(webhooks)
    expect((await post('/incoming/psp')).status).toBe(200)
    expect((await post('/hooks/psp')).status).toBe(404)
  })

  it('names a module that exports neither a mapping nor a handler', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-door-'))
    writeFileSync(join(folder, 'x.mjs'), 'export const other = 1\n')
    await expect(loadWebhookModule(folder, './x.mjs')).rejects.toMatchObject({
      code: 'MODULE_INVALID',
    })
  })
})
