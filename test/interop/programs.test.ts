import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Contract, defineContract } from '../../src/contracts/index.ts'
import { type Bus, openBus } from '../../src/messaging/index.ts'
import { withService } from '../conformance/service-url.ts'
import { findPython } from '../registry/python.ts'
import { consume, type PlainMessage, type Program, produce, programs } from './programs.ts'

const python = await findPython()
const data = { orderId: 'o-1', amount: 1990 }
type Envelope = 'treaty' | 'cloudevents-binary' | 'cloudevents-structured' | 'none'

/** A contract on channels that no other test uses. */
function orders(envelope: Envelope): { contract: Contract; address: string } {
  const id = `interop.t${randomUUID().slice(0, 8)}`
  const address = `${id}.orders`
  const contract = defineContract({
    id,
    version: '1.0.0',
    status: 'active',
    purpose: 'Tells other programs that an order was placed.',
    envelope,
    channels: { orders: { address, key: 'orderId', ordering: 'per-key' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: {
          type: 'object',
          required: ['orderId', 'amount'],
          properties: { orderId: { type: 'string' }, amount: { type: 'integer' } },
        },
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^1.0.0',
        events: { 'order.placed': { handling: 'Creates one invoice.' } },
        retry: { attempts: 1, base: '1ms', factor: 1, cap: '1ms', jitter: 'none' },
      },
    },
  })
  return { contract, address }
}

/** Other tests use the same broker. */
async function lettersOf(bus: Bus, address: string) {
  return (await bus.dead.list({ consumer: 'billing', limit: 100 })).items.filter(
    (letter) => letter.address === address,
  )
}

/** What a consumer makes of messages of another program: data of what was handled, reasons of what died. */
async function reading(bus: Bus, address: string) {
  const handled: unknown[] = []
  let settled = 0
  await bus.consume(
    'billing',
    { 'order.placed': (message) => void handled.push(message.data) },
    {
      onSettled: () => {
        settled += 1
      },
    },
  )
  return {
    handled,
    async reasons(count: number): Promise<string[]> {
      await expect.poll(() => settled, { timeout: 30_000, interval: 50 }).toBe(count)
      return (await lettersOf(bus, address)).map(({ reason }) => reason)
    },
  }
}

const attributes = (id: string = randomUUID()) => ({
  specversion: '1.0',
  id,
  source: 'https://example.com/till',
  type: 'order.placed',
})
const structured = (): PlainMessage => ({
  contentType: 'application/cloudevents+json',
  body: JSON.stringify({ ...attributes('no-uuid-7'), datacontenttype: 'application/json', data }),
})
const binary = (program: Program): PlainMessage => ({
  contentType: 'application/json',
  headers: Object.fromEntries(
    Object.entries(attributes()).map(([name, value]) => [program.attribute(name), value]),
  ),
  body: JSON.stringify(data),
})
const garbage: readonly PlainMessage[] = [
  { body: '' },
  { body: Uint8Array.from([0xff, 0xfe, 0x00, 0x01]) },
  { body: '{"half":' },
  { body: 'null' },
  { headers: { 'treaty-priority': 'urgent', 'treaty-expires-at': 'soon' }, body: '[[[[' },
]

function describeProgram(program: Program, url: string, path: string): void {
  const place = (address: string) => program.inlet(address)

  it('reads what we publish: the envelope as JSON', async () => {
    const { contract, address } = orders('treaty')
    await using bus = (await openBus({ contracts: [contract], transport: url })) as Bus
    const at = { url, place: program.outlet(address, 'o-1'), count: 1 }
    const [message] = await consume(path, program, at, () => bus.publish('order.placed', data))
    expect(JSON.parse(Buffer.from(message?.body ?? '').toString())).toMatchObject({
      type: 'order.placed',
      source: 'shop',
      data,
    })
    expect(JSON.stringify(message?.headers)).toContain('treaty-type')
  })

  it('reads what we publish: CloudEvents, binary, as the binding of the broker spells them', async () => {
    const { contract, address } = orders('cloudevents-binary')
    await using bus = (await openBus({ contracts: [contract], transport: url })) as Bus
    const at = { url, place: program.outlet(address, 'o-1'), count: 1 }
    const [message] = await consume(path, program, at, () => bus.publish('order.placed', data))
    expect(JSON.parse(Buffer.from(message?.body ?? '').toString())).toEqual(data)
    expect(message?.headers).toMatchObject({
      [program.attribute('specversion')]: '1.0',
      [program.attribute('type')]: 'order.placed',
      [program.attribute('source')]: 'shop',
    })
    const contentType = message?.contentType ?? message?.headers?.['content-type']
    expect(contentType).toBe('application/json')
  })

  it('writes CloudEvents in both modes, and garbage, which dies with its bytes', async () => {
    const { contract, address } = orders('cloudevents-structured')
    await using bus = (await openBus({ contracts: [contract], transport: url })) as Bus
    const { handled, reasons } = await reading(bus, address)
    const messages = [binary(program), ...garbage, structured()]
    await produce(path, program, { url, place: place(address), messages })
    const found = await reasons(messages.length)
    expect(handled).toEqual([data, data])
    expect(found).toHaveLength(garbage.length)
    for (const reason of found) expect(['UNDECODABLE', 'UNKNOWN_EVENT']).toContain(reason)
    const letters = await lettersOf(bus, address)
    const bodies = await Promise.all(letters.map(async ({ id }) => (await bus.dead.get(id))?.body))
    const hex = (body: string | Uint8Array | undefined) => Buffer.from(body ?? '').toString('hex')
    expect(bodies.map(hex).sort()).toEqual(garbage.map(({ body }) => hex(body)).sort())
  })

  it('writes data alone, and the channel says what it is', async () => {
    const { contract, address } = orders('none')
    await using bus = (await openBus({ contracts: [contract], transport: url })) as Bus
    const { handled, reasons } = await reading(bus, address)
    const messages = [{ body: JSON.stringify(data) }, { body: '{"orderId":7}' }]
    await produce(path, program, { url, place: place(address), messages })
    expect(await reasons(2)).toEqual(['SCHEMA_MISMATCH'])
    expect(handled).toEqual([data])
  })
}

for (const program of programs) {
  await withService(program.service, (url) => {
    describe(`${program.library}, from PyPI,`, () => {
      if ('path' in python) describeProgram(program, url, python.path)
      else it.skip(`(skipped: ${python.reason})`, () => undefined)
    })
  })
}
