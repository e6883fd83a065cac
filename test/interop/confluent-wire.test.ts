import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defineContract } from '../../src/contracts/index.ts'
import { frame } from '../../src/messaging/confluent/frame.ts'
import { type Bus, openBus } from '../../src/messaging/index.ts'
import { withService } from '../conformance/service-url.ts'
import { findPython, runScript } from '../registry/python.ts'
import { serve } from '../registry/served.ts'
import { produce, programs } from './programs.ts'

const python = await findPython()
const script = join(import.meta.dirname, 'confluent-wire.py')

function orders() {
  const id = `interop.t${randomUUID().slice(0, 8)}`
  return defineContract({
    id,
    version: '1.0.0',
    status: 'active',
    purpose: 'Tells programs with a Confluent registry that an order was placed.',
    envelope: 'none',
    channels: { orders: { address: `${id}.orders` } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: {
          title: 'Order',
          type: 'object',
          required: ['n'],
          properties: { n: { type: 'integer' } },
        },
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: { accepts: '^1.0.0', events: { 'order.placed': { handling: 'Bills it.' } } },
    },
  })
}

await withService('kafka', (url) => {
  describe('the Confluent wire format on Kafka, against our registry', () => {
    it.skipIf('reason' in python)('is read and written by confluent-kafka from PyPI', async () => {
      const path = 'path' in python ? python.path : ''
      await using served = await serve()
      const contract = orders()
      const topic = `${contract.id}.orders`
      const confluent = { url: served.confluent }
      await using bus = (await openBus({ contracts: [contract], transport: url, confluent })) as Bus
      const got: unknown[] = []
      await bus.consume('billing', { 'order.placed': ({ data }) => void got.push(data) })

      await bus.publish('order.placed', { n: 1 })
      const read = await runScript(path, [script, 'read', url, served.confluent, topic, '1'])
      expect(read).toEqual([{ n: 1 }])

      await runScript(path, [script, 'write', url, served.confluent, topic], '[{"n":2},{"n":3}]')
      const [program] = programs
      const body = frame({ schemaId: 999_999, body: Buffer.from('{"n":4}') })
      if (program) await produce(path, program, { url, place: topic, messages: [{ body }] })
      await expect.poll(() => got.length, { timeout: 30_000 }).toBe(3)
      expect(got).toEqual(expect.arrayContaining([{ n: 1 }, { n: 2 }, { n: 3 }]))
      const dead = async () => (await bus.dead.list({ consumer: 'billing', limit: 100 })).items
      await expect
        .poll(async () => (await dead()).find(({ address }) => address === topic)?.reason)
        .toBe('SCHEMA_ID_UNKNOWN')
    })
  })
})
