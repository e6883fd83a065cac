import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../testing/fake-clock.ts'
import { openBus } from '../index.ts'
import type { Bus } from '../types.ts'

const contracts = join(import.meta.dirname, '../../../test/fixtures/shop')
const open: Bus[] = []
const id = (n: number) => `0198a3c0-0000-7000-8000-${String(n).padStart(12, '0')}`
const now = '2026-11-20T10:00:00Z'

async function shop() {
  const clock = fakeClock(Date.parse(now))
  const bus: Bus = await openBus({ contracts, transport: 'memory:', clock })
  open.push(bus)
  const runs: string[] = []
  await bus.consume('audit', { 'order.placed': (message) => void runs.push(message.id) })
  return { bus, clock, runs }
}
const message = (n: number, more: object = {}) => ({
  id: id(n),
  type: 'order.placed',
  source: 'partner',
  timestamp: now,
  correlation_id: id(99),
  data: { orderId: `o-${n}`, sequence: 0, total: { amount: 1, currency: 'EUR' } },
  ...more,
})
const batch = (messages: readonly unknown[], size = messages.length) =>
  Buffer.from(
    JSON.stringify(message(1000, { type: 'batch', data: { batch_size: size, messages } })),
  )

afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close({ drainMs: 0 })))
})

describe('ingestBatch', () => {
  it('lets the good messages through and says what is wrong with each of the others', async () => {
    const { bus, clock, runs } = await shop()
    const wrong = message(2, { data: { orderId: 'o-2', sequence: 'x' } })

    const result = await bus.ingestBatch(
      batch([message(1), wrong, message(1), message(3, { type: 'order.lost' }), message(4)]),
      { source: 'partner' },
    )
    await clock.advance(0)

    expect(result.items.map((item) => item.deadLetter === undefined)).toEqual([
      true,
      false,
      false,
      false,
      true,
    ])
    expect(result.items[1]?.findings?.map((finding) => finding.pointer)).toContain(
      '/data/messages/1/data/sequence',
    )
    expect(result.items[2]?.findings?.map((finding) => finding.code)).toContain(
      'BATCH_DUPLICATE_ID',
    )
    expect(runs).toEqual([id(1), id(4)])
    const stats = await bus.stats()
    expect(Object.keys(stats.byEvent)).toEqual(['batch', 'order.placed'])
    expect(stats).toMatchObject({ published: 2, dead: 3 })
  })

  it.each([
    ['a size that is not the count', batch([message(1)], 2), 'BATCH_SIZE_MISMATCH'],
    ['another type', Buffer.from(JSON.stringify(message(1))), 'SCHEMA_MISMATCH'],
    ['no JSON', Buffer.from('{'), 'UNDECODABLE'],
  ])('refuses the whole for %s, and keeps its bytes', async (_, bytes, code) => {
    const { bus } = await shop()

    const result = await bus.ingestBatch(bytes, { source: 'partner' })

    expect(result.items).toEqual([])
    expect(result.findings?.[0]?.code).toBe(code)
    const letter = await bus.dead.get(result.deadLetter ?? '')
    expect(Buffer.from(letter?.body ?? []).equals(bytes)).toBe(true)
  })

  it('refuses a batch in a batch', async () => {
    const { bus } = await shop()
    const nested = message(2, { type: 'batch', data: { batch_size: 0, messages: [] } })

    const result = await bus.ingestBatch(batch([message(1), nested]), { source: 'partner' })

    expect(result.items.map((item) => item.findings?.[0]?.code)).toEqual([
      undefined,
      'BATCH_NESTED',
    ])
  })
})

describe('a message from outside', () => {
  const send = (bus: Bus, n: number, metadata: object) =>
    bus.ingest('order.placed', Buffer.from(JSON.stringify(message(n, { metadata }))), {
      source: 'partner',
    })

  it('overtakes by the priority that its metadata says', async () => {
    const clock = fakeClock(Date.parse(now))
    const bus: Bus = await openBus({ contracts, transport: 'memory:', clock })
    open.push(bus)
    await send(bus, 1, { priority: 'low' })
    await send(bus, 2, { priority: 'critical' })
    const runs: string[] = []

    await bus.consume(
      'audit',
      { 'order.placed': (one) => void runs.push(one.id) },
      { concurrency: 1, prefetch: 0 },
    )
    await clock.advance(0)

    expect(runs).toEqual([id(2), id(1)])
  })

  it('is not handled once its time to live, counted from its timestamp, has passed', async () => {
    const { bus, clock, runs } = await shop()
    await clock.advance(5000)

    await send(bus, 1, { ttl_seconds: 5 })
    await send(bus, 2, { ttl_seconds: 6 })
    await clock.advance(0)

    expect(runs).toEqual([id(2)])
    const rows = (await bus.stats()).rows.filter((row) => row.consumer === 'audit')
    expect(rows).toMatchObject([{ expired: 1, handled: 1 }])
    expect((await bus.dead.list({ consumer: 'audit' })).items).toMatchObject([
      { messageId: id(1), reason: 'EXPIRED' },
    ])
  })
})
