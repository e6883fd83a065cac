import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../../testing/index.ts'
import { groupOf, nextTurn, openScene, recordOf, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
async function billing(of: Scene) {
  const { counts } = await of.transport.stats()
  const row = counts.find(({ consumer }) => consumer === 'billing')
  const { event: _, consumer: __, published: ___, ...numbers } = row ?? {}
  return numbers
}
const nothing = {
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('publishing', () => {
  it('hands each group the whole record with its place and time', async () => {
    const { publish, join, clock } = await scene({ groups: [{}, { name: 'shop.audit' }] })
    const [first, second] = [await join(), await join(10, 'shop.audit')]
    const full = {
      id: 'a',
      key: 'k',
      headers: { traceparent: 't' },
      priority: 2,
      expiresAt: clock.now() + 1000,
      correlationId: 'c',
      causationId: 'd',
    }

    const [result] = await publish(full)

    for (const { deliveries } of [first, second]) {
      expect(deliveries.map(({ record }) => record)).toEqual([
        {
          ...recordOf(full),
          position: (result as { position: string }).position,
          publishedAt: clock.now(),
        },
      ])
    }
  })

  it('gives the same record to a consumer that comes later and reads it from the file', async () => {
    const { publish, join, clock } = await scene()
    const full = { id: 'a', key: 'k', headers: { h: '1' }, correlationId: 'c', causationId: 'd' }
    await publish({ ...full, body: new Uint8Array(0) })

    const consumer = await join()

    const { record } = consumer.of('a')
    expect({ ...record, body: record.body.byteLength }).toEqual({
      ...recordOf(full),
      body: 0,
      priority: 1,
      position: record.position,
      publishedAt: clock.now(),
    })
  })

  it('counts a type that a group does not list as skipped, and keeps no row for it', async () => {
    const opened = await scene({
      groups: [{ subscriptions: [{ address: 'orders', types: ['order.cancelled'] }] }],
    })
    const consumer = await opened.join()

    await opened.publish({ id: 'a' })

    expect(consumer.ids()).toEqual([])
    expect(await billing(opened)).toEqual({ ...nothing, deliveries: 1, skipped: 1 })
  })

  it('refuses a record that is too large and takes those around it', async () => {
    const { publish, join } = await scene()
    const consumer = await join()

    const results = await publish(
      { id: 'a' },
      { id: 'b', body: new Uint8Array(10_001) },
      { id: 'c' },
    )

    expect(results.map((result) => ('error' in result ? result.error.code : result.id))).toEqual([
      'a',
      'MESSAGE_TOO_LARGE',
      'c',
    ])
    expect(consumer.ids()).toEqual(['a', 'c'])
  })

  it('recognises an id within its dedup window, and not from its end on', async () => {
    const { publish, join, clock } = await scene()
    const consumer = await join()
    const again = { id: 'a', dedupWindowMs: 1000 }

    const [first] = await publish(again)
    await clock.advance(999)
    const [second, other] = await publish(again, { id: 'a' })
    await clock.advance(1)
    const [third] = await publish(again)

    expect(second).toEqual({ ...first, duplicate: true })
    expect([other, third].map((result) => 'duplicate' in (result ?? {}))).toEqual([false, false])
    expect(consumer.ids()).toEqual(['a', 'a', 'a'])
  })

  it('recognises a duplicate in the same batch', async () => {
    const { publish, join } = await scene()
    const consumer = await join()

    await publish({ id: 'a', dedupWindowMs: 1 }, { id: 'a', dedupWindowMs: 1 })

    expect(consumer.ids()).toEqual(['a'])
  })

  it('takes times without an end, and broken milliseconds', async () => {
    const { publish, join, clock } = await scene()
    const consumer = await join()
    const endless = Number.POSITIVE_INFINITY

    const results = await publish(
      { id: 'a', expiresAt: endless, dedupWindowMs: endless },
      { id: 'b', deliverAt: clock.now() + 0.5, expiresAt: clock.now() + 99.5 },
    )
    await clock.advance(1)
    const settled = await consumer.settle(
      { outcome: 'ack', delivery: consumer.of('a'), inbox: { key: 'a', untilMs: endless } },
      { outcome: 'retry', delivery: consumer.of('b'), delayMs: 0.25 },
    )

    expect(results.filter((result) => 'error' in result)).toEqual([])
    expect(settled).toEqual([{ ok: true }, { ok: true }])
  })

  it('lets a message go to an address that nobody knows', async () => {
    const { publish } = await scene()

    const [result] = await publish({ id: 'late reply', address: 'replies.gone' })

    expect(result).toMatchObject({ id: 'late reply' })
  })

  it('gives up a publish whose signal aborts before its transaction', async () => {
    const { transport, join } = await scene()
    const consumer = await join()
    const controller = new AbortController()

    const sent = transport.publish([recordOf({ id: 'a' })], controller.signal)
    controller.abort(new Error('changed my mind'))

    await expect(sent).rejects.toThrow('changed my mind')
    await nextTurn()
    expect(consumer.ids()).toEqual([])
  })

  it('isolates a record that the database refuses from the others of its transaction', async () => {
    const { transport, join } = await scene()
    const consumer = await join()
    const broken = recordOf({ id: 'b', contentType: { not: 'text' } as unknown as string })

    const [good, bad, other] = await Promise.all([
      transport.publish([recordOf({ id: 'a' })]),
      transport.publish([broken]),
      transport.publish([recordOf({ id: 'c' })]),
    ])

    expect([good, other].map(([result]) => result && 'id' in result && result.id)).toEqual([
      'a',
      'c',
    ])
    expect(bad).toMatchObject([{ error: { code: 'UNFORESEEN' } }])
    expect(consumer.ids()).toEqual(['a', 'c'])
  })
})

describe('credit', () => {
  it('never has more out than was granted, and settling gives nothing back', async () => {
    const { publish, join } = await scene()
    const consumer = await join(2)
    await publish({ id: 'a' }, { id: 'b' }, { id: 'c' })

    await consumer.ack('a', 'b')
    const before = consumer.ids()
    consumer.subscription.grant(1)
    await nextTurn()

    expect(before).toEqual(['a', 'b'])
    expect(consumer.ids()).toEqual(['a', 'b', 'c'])
  })

  it('hands out nothing while paused or after stop, and what is out stays valid', async () => {
    const { publish, join } = await scene()
    const consumer = await join(1)
    await publish({ id: 'a' }, { id: 'b' }, { id: 'c' })
    consumer.subscription.pause()
    consumer.subscription.grant(1)
    await nextTurn()
    expect(consumer.ids()).toEqual(['a'])

    consumer.subscription.resume()
    await nextTurn()
    await consumer.subscription.stop()
    consumer.subscription.grant(10)
    await nextTurn()

    expect(consumer.ids()).toEqual(['a', 'b'])
    expect(await consumer.ack('a', 'b')).toEqual([{ ok: true }, { ok: true }])
    expect(consumer.subscription.isReady).toBe(false)
  })

  it('shares the work among the subscribers of a group', async () => {
    const { publish, join } = await scene()
    const [one, other] = [await join(10), await join(10)]

    await publish(...Array.from({ length: 12 }, (_, at) => ({ id: `m${at}` })))

    expect([...one.ids(), ...other.ids()].sort()).toHaveLength(12)
    expect(one.ids()).toHaveLength(6)
  })
})

describe('settling', () => {
  it('counts each outcome and keeps the ledger balanced', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    await opened.publish(...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id) => ({ id })))

    await consumer.settle(
      { outcome: 'ack', delivery: consumer.of('a') },
      { outcome: 'ack', delivery: consumer.of('b'), as: 'skipped' },
      { outcome: 'drop', delivery: consumer.of('c') },
      { outcome: 'dead', delivery: consumer.of('d'), failure: { reason: 'REJECTED' } },
      { outcome: 'retry', delivery: consumer.of('e'), delayMs: 1000 },
      { outcome: 'release', delivery: consumer.of('f'), delayMs: 1000 },
    )

    expect(await billing(opened)).toEqual({
      deliveries: 7,
      handled: 1,
      skipped: 1,
      expired: 1,
      dead: 1,
      retried: 1,
      waiting: 3,
    })
  })

  it('says lost for what was settled before, twice in one call too', async () => {
    const { publish, join } = await scene()
    const consumer = await join()
    await publish({ id: 'a' }, { id: 'b' })

    const ack = { outcome: 'ack' as const, delivery: consumer.of('a') }
    const results = await consumer.settle(ack, { ...ack })
    const later = await consumer.ack('a')
    const foreign = await consumer.settle({
      outcome: 'ack',
      delivery: { ...consumer.of('b'), lease: { seq: 1 } },
    })

    expect(results).toEqual([{ ok: true }, { ok: false, reason: 'lost' }])
    expect([...later, ...foreign]).toEqual([
      { ok: false, reason: 'lost' },
      { ok: false, reason: 'lost' },
    ])
  })

  it('counts attempts for retries and not for releases', async () => {
    const { publish, join, clock } = await scene()
    const consumer = await join()
    await publish({ id: 'a' })

    await consumer.settle({ outcome: 'release', delivery: consumer.of('a') })
    await consumer.settle({ outcome: 'retry', delivery: consumer.of('a'), delayMs: 100 })
    await clock.advance(99)
    expect(consumer.deliveries).toHaveLength(2)
    await clock.advance(1)
    await consumer.settle({ outcome: 'release', delivery: consumer.of('a'), delayMs: 50 })
    await clock.advance(50)

    expect(consumer.deliveries.map(({ attempt }) => attempt)).toEqual([1, 1, 2, 2])
    expect(consumer.deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([1, 2, 3, 4])
    expect(consumer.of('a').firstFailedAt).toBe(clock.now() - 150)
  })

  it('does not let releases eat into the deliveries of the crash guard', async () => {
    const { publish, join, transport } = await scene({ groups: [{ deliveriesMax: 2 }] })
    const consumer = await join()
    await publish({ id: 'a' })

    for (let time = 0; time < 5; time += 1) {
      await consumer.settle({ outcome: 'release', delivery: consumer.of('a') })
    }

    expect(consumer.deliveries).toHaveLength(6)
    expect(await transport.dead.count({})).toBe(0)
  })

  it('keeps nothing of a message that every group has finished', async () => {
    const { publish, join, transport } = await scene({ groups: [{}, { name: 'shop.audit' }] })
    const [one, other] = [await join(), await join(10, 'shop.audit')]
    await publish({ id: 'a' })

    await one.ack('a')
    const half = await transport.browse?.({ limit: 10 })
    await other.ack('a')
    const whole = await transport.browse?.({ limit: 10 })

    expect(half?.items.map(({ consumers }) => consumers)).toEqual([
      [
        { consumer: 'billing', state: 'done', attempts: 1 },
        { consumer: 'audit', state: 'in-flight', attempts: 1 },
      ],
    ])
    expect(whole?.items).toEqual([])
  })
})

describe('a group that comes later', () => {
  it('begins with what is still there, or after it, as it says', async () => {
    const { publish, transport, join } = await scene({ channel: { retentionMs: 10_000 } })
    const consumer = await join()
    await publish({ id: 'a', key: 'k' }, { id: 'b', key: 'k' })
    await consumer.ack('a')
    await consumer.ack('b')

    const groups = [
      groupOf({ name: 'shop.early' }),
      groupOf({ name: 'shop.late', start: 'latest' as const }),
    ]
    await transport.ensure({ channels: [], groups }, 'create')
    const [early, late] = [await join(10, 'shop.early'), await join(10, 'shop.late')]
    await publish({ id: 'c' })
    await early.ack('a')

    expect(early.ids()).toEqual(['a', 'c', 'b'])
    expect(late.ids()).toEqual(['c'])
  })

  it('is refused when nobody has made it', async () => {
    const { transport } = await scene()

    await expect(transport.subscribe({ group: 'nope' }, () => undefined)).rejects.toMatchObject({
      code: 'GROUP_NOT_FOUND',
    })
  })
})
