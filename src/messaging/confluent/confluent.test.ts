import { describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { openBus } from '../index.ts'
import type { OutgoingRecord } from '../transport.ts'
import { createMemoryTransport } from '../transports/memory.ts'
import { frame, unframe } from './frame.ts'

const contract = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  status: 'active',
  purpose: 'Tells every service that an order was placed.',
  envelope: 'none',
  channels: { orders: { address: 'shop.orders' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when a checkout has been paid.',
      schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
    },
  },
  producers: { shop: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { handling: 'Creates one invoice.' } },
    },
  },
})

/** A registry that gives each schema the id 7, until it fails. */
function registry() {
  const calls: string[] = []
  let failures = 0
  const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status })
  const ask: typeof fetch = async (url, options) => {
    const { pathname } = new URL(String(url))
    calls.push(`${options?.method} ${pathname}`)
    if (failures-- > 0) return answer(503, {})
    if (pathname.startsWith('/subjects/broken'))
      return answer(409, { error_code: 409, message: 'no' })
    if (pathname.startsWith('/subjects/')) return answer(200, { id: 7 })
    const isKnown = pathname === '/schemas/ids/7/versions'
    return isKnown ? answer(200, [{ subject: 'shop.orders-value', version: 1 }]) : answer(404, {})
  }
  const fail = (count: number) => {
    failures = count
  }
  return { calls, ask, fail }
}

async function shop(subject: 'topic' | 'record' = 'topic') {
  const clock = fakeClock(Date.parse('2026-11-20T10:00:00Z'))
  const transport = createMemoryTransport({ clock })
  const { ask, calls, fail } = registry()
  const bus = await openBus({
    contracts: [contract],
    transport,
    clock,
    confluent: { url: 'http://registry', fetch: ask, subject },
  })
  const got: unknown[] = []
  const outcomes: string[] = []
  await bus.consume(
    'billing',
    { 'order.placed': ({ data }) => void got.push(data) },
    { onSettled: ({ outcome }) => void outcomes.push(outcome) },
  )
  const send = async (body: Uint8Array, more: Partial<OutgoingRecord> = {}) => {
    const plain = {
      id: `m${calls.length}-${body.length}`,
      address: 'shop.orders',
      type: 'order.placed',
    }
    await transport.publish([{ ...plain, body, headers: {}, contentType: 'x', ...more }])
    await clock.advance(10)
  }
  const kept = async () => (await transport.browse?.({ limit: 10 }))?.items ?? []
  return { bus, clock, got, outcomes, send, calls, fail, kept }
}

describe('the Confluent wire format', () => {
  it('is a zero byte, four bytes of schema id, and the body', () => {
    const framed = frame({ schemaId: 258, body: Buffer.from('{}') })
    expect([...framed]).toEqual([0, 0, 0, 1, 2, 0x7b, 0x7d])
    expect(unframe(framed)).toEqual({ schemaId: 258, body: new Uint8Array([0x7b, 0x7d]) })
    expect(unframe(Buffer.from('{}'))).toBeUndefined()
    expect(unframe(Uint8Array.from([0, 0, 0]))).toBeUndefined()
  })

  it('is written with the id that the registry gives, asked for once', async () => {
    const { bus, clock, got, calls } = await shop()
    await bus.publish('order.placed', { n: 1 })
    await bus.publish('order.placed', { n: 2 })
    await clock.advance(10)
    expect(got).toEqual([{ n: 1 }, { n: 2 }])
    expect(calls).toEqual([
      'POST /subjects/shop.orders-value/versions',
      'GET /schemas/ids/7/versions',
    ])
  })

  it('is read from others, beside bytes that have no frame', async () => {
    const { got, send } = await shop()
    await send(frame({ schemaId: 7, body: Buffer.from('{"n":3}') }))
    await send(Buffer.from('{"n":4}'))
    expect(got).toEqual([{ n: 3 }, { n: 4 }])
  })

  it('makes a dead letter with the original bytes of an id that nobody knows', async () => {
    const { bus, got, send } = await shop()
    const body = frame({ schemaId: 99, body: Buffer.from('{"n":3}') })
    await send(body)
    const [letter] = (await bus.dead.list()).items
    expect(letter?.reason).toBe('SCHEMA_ID_UNKNOWN')
    expect(Buffer.from((await bus.dead.get(letter?.id ?? ''))?.body ?? [])).toEqual(
      Buffer.from(body),
    )
    expect(got).toEqual([])
  })

  it('waits for a registry that does not answer, in order', async () => {
    const { clock, got, send, fail } = await shop()
    fail(2)
    await send(frame({ schemaId: 7, body: Buffer.from('{"n":1}') }))
    await send(Buffer.from('{"n":2}'))
    expect(got).toEqual([])
    await clock.advance(1000)
    expect(got).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('fails to publish with a named error, and tries again with the next message', async () => {
    const { bus, fail } = await shop()
    fail(1)
    await expect(bus.publish('order.placed', { n: 1 })).rejects.toMatchObject({
      code: 'SCHEMA_REGISTRY_FAILED',
    })
    await bus.publish('order.placed', { n: 1 })
  })
})
