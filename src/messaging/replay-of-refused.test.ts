import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { openBus } from './index.ts'
import type { Bus } from './types.ts'

const contractWith = (total: 'integer' | 'number') =>
  defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    purpose: 'Tells every service that an order was placed.',
    owner: { team: 'orders' },
    envelope: 'none',
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: { type: 'object', required: ['total'], properties: { total: { type: total } } },
      },
    },
    producers: { partner: {} },
    consumers: {
      audit: {
        accepts: '^1.0.0',
        events: { 'order.placed': { needs: ['total'], handling: 'Keeps it.' } },
      },
    },
  })

it('does not let what ingest refused onto the channel before the contract takes it', async () => {
  const transport = `sqlite:${join(mkdtempSync(join(tmpdir(), 'treaty-refused-')), 'treaty.db')}`
  const open = (total: 'integer' | 'number'): Promise<Bus> =>
    openBus({ contracts: [contractWith(total)], transport })

  const strict = await open('integer')
  const { deadLetter = '', id } = await strict.ingest(
    'order.placed',
    Buffer.from('{"total":1.5}'),
    {
      source: 'partner',
    },
  )
  await expect(strict.dead.replay(deadLetter)).rejects.toMatchObject({
    code: 'SCHEMA_MISMATCH',
    findings: [{ pointer: '/data/total' }],
  })
  expect(await strict.dead.count()).toBe(1)
  expect(await strict.stats()).toMatchObject({ published: 0, dead: 1 })
  await strict.close({ drainMs: 0 })

  const mended = await open('number')
  const got = Promise.withResolvers<unknown>()
  await mended.consume('audit', {
    'order.placed': (message) => got.resolve([message.id, message.data]),
  })
  expect(await mended.dead.replay(deadLetter)).toBe(true)
  expect(await got.promise).toEqual([id, { total: 1.5 }])
  expect(await mended.dead.count()).toBe(0)
  await mended.close({ drainMs: 0 })
})
