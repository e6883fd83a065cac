import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openBus } from '../messaging/index.ts'
import { createServer } from '../server/index.ts'
import { openStore } from '../store/index.ts'
import { openReceiver, type WebhooksConfig } from '../webhooks/index.ts'
import { runCaptured } from './captured-run.ts'
import { loadWebhookModule } from './start/webhooks.ts'

const contract = `treaty: 1
id: shop.payments
version: 1.0.0
status: active
purpose: Tells that a payment was made.
owner: { team: payments, contact: payments@example.com }
pattern: pub-sub
envelope: treaty
channels: { payments: { address: shop.payments, retention: 1d } }
events:
  payment.made:
    channel: payments
    purpose: A payment was made.
    schema: { type: object, required: [amount], properties: { amount: { type: number } } }
producers: { psp: {} }
consumers: { billing: { accepts: ^1.0.0, events: { payment.made: { needs: [amount] } } } }
`
const sources = (map: string): WebhooksConfig => ({
  sources: { psp: { verify: 'unsigned', event: 'payment.made', map: `./${map}` } },
})

/** A project in which a delivery was quarantined by a mapping that looks in the wrong place. */
async function quarantined() {
  const cwd = mkdtempSync(join(tmpdir(), 'treaty-replay-'))
  writeFileSync(join(cwd, 'wrong.mjs'), 'export const map = ({ json }) => ({ amount: json.total })')
  writeFileSync(join(cwd, 'right.mjs'), 'export const map = ({ json }) => ({ amount: json.sum })')
  writeFileSync(join(cwd, 'payments.yaml'), contract)
  const configure = (map: string) =>
    writeFileSync(
      join(cwd, 'treaty.config.yaml'),
      `contracts: ./payments.yaml\nwebhooks: ${JSON.stringify(sources(map))}\n`,
    )
  configure('wrong.mjs')
  const url = `sqlite:${join(cwd, 'treaty.db')}`
  const open = async (map: string) => {
    const bus = await openBus({ contracts: join(cwd, 'payments.yaml'), transport: url })
    const store = await openStore(url)
    const load = (path: string) => loadWebhookModule(cwd, path)
    const receiver = await openReceiver(sources(map), { bus, store, load, secret: () => '' })
    return { bus, store, receiver }
  }
  const { bus, store, receiver } = await open('wrong.mjs')
  const rawBody = Buffer.from('{"sum":7}')
  await receiver?.receive('psp', { method: 'POST', url: '/hooks/psp', headers: {}, rawBody })
  const [letter] = (await bus.dead.list()).items
  await bus.close({ drainMs: 0 })
  await store.close()
  return { cwd, configure, open, id: letter?.id ?? '' }
}

it('treaty dead replay maps a quarantined webhook by the mapping of today, not that of then', async () => {
  const { cwd, configure, id } = await quarantined()

  const before = await runCaptured(['dead', 'replay', id], { cwd })
  expect(before).toMatchObject({ code: 3, err: expect.stringContaining('SCHEMA_MISMATCH') })
  configure('right.mjs')
  expect(await runCaptured(['dead', 'replay', id], { cwd })).toMatchObject({ code: 0 })

  const { out } = await runCaptured(['tail', '--all', '--max', '1'], { cwd })
  expect(out).toContain('"data":{"amount":7}')
  expect((await runCaptured(['dead', 'list'], { cwd })).out).toBe('no dead letters\n')
}, 30_000)

it('POST /api/dead/ID/replay does the same', async () => {
  const { open, id } = await quarantined()
  const { bus, store, receiver } = await open('right.mjs')
  const server = createServer({ bus })
  server.addReplay(async (letter) => receiver?.replay(letter))

  const answer = await server.app.inject({
    method: 'POST',
    url: `/api/dead/${id}/replay`,
    headers: { 'sec-fetch-site': 'same-origin' },
  })

  expect([answer.statusCode, answer.json()]).toEqual([200, { id, done: 'replayed' }])
  expect((await bus.messages({})).items).toMatchObject([{ message: { data: { amount: 7 } } }])
  await server.close()
  await bus.close({ drainMs: 0 })
  await store.close()
})
