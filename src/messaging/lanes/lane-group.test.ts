import { describe, expect, it } from 'vitest'
import { fakeClock } from '../../testing/fake-clock.ts'
import type { Delivery, GroupTopology, Settlement } from '../transport.ts'
import { LogBroker, Owner, type OwnerOptions } from './log-broker.test.kit.ts'

const lane = 'orders/0'

/** A process with one subscription that keeps what it is handed. */
function start(options: Partial<OwnerOptions> & { credit?: number; broker?: LogBroker } = {}) {
  const clock = (options.clock as ReturnType<typeof fakeClock>) ?? fakeClock()
  const broker = options.broker ?? new LogBroker()
  const owner = new Owner({ ...options, broker, clock })
  const deliveries: Delivery[] = []
  const subscription = owner.lanes.subscribe((batch) => void deliveries.push(...batch))
  subscription.grant(options.credit ?? 100)
  const ids = () => deliveries.map((each) => each.record.id)
  const settle = async (at: number, more: Partial<Settlement> = { outcome: 'ack' }) => {
    const delivery = deliveries[at] as Delivery
    const [result] = await owner.lanes.settle([{ ...more, delivery } as Settlement])
    return result
  }
  return { broker, clock, owner, deliveries, ids, settle, subscription }
}

const turns = async (count = 20) => {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve()
}
const blocking = (): Partial<GroupTopology> => ({
  deadLetter: { address: 'd', retentionMs: 1, onDead: 'block', onExpired: 'drop' },
})

describe('what starts', () => {
  it('hands out one message of a key at a time, and keys side by side', async () => {
    const { broker, owner, ids, settle } = start()
    for (const [id, key] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['b1', 'b'],
    ] as const)
      broker.publish(lane, { id, key })
    owner.claim(lane)
    await turns()
    expect(ids()).toEqual(['a1', 'b1'])
    await settle(0)
    expect(ids()).toEqual(['a1', 'b1', 'a2'])
  })

  it('hands out everything at once where no order is kept, and one by one where the channel keeps it', async () => {
    for (const [ordering, expected] of [
      ['none', 3],
      ['per-channel', 1],
    ] as const) {
      const { broker, owner, ids } = start({ ordering })
      for (const id of ['1', '2', '3']) broker.publish(lane, { id, key: 'a' })
      owner.claim(lane)
      await turns()
      expect(ids()).toHaveLength(expected)
    }
  })

  it('never has more out than the credit that was granted', async () => {
    const { broker, owner, ids, subscription } = start({ credit: 2, ordering: 'none' })
    for (let at = 0; at < 5; at += 1) broker.publish(lane, { id: `${at}` })
    owner.claim(lane)
    await turns()
    expect(ids()).toHaveLength(2)
    subscription.pause()
    subscription.grant(2)
    expect(ids()).toHaveLength(2)
    subscription.resume()
    await turns()
    expect(ids()).toHaveLength(4)
  })

  it('starts nothing while the process cannot prove that the lane is its own', async () => {
    const { broker, owner, ids } = start()
    owner.mayStart = false
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    expect(ids()).toEqual([])
    owner.mayStart = true
    owner.lanes.wake()
    await turns()
    expect(ids()).toEqual(['1'])
  })

  it('starts nothing beyond the mark that is written', async () => {
    let letWrite: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      letWrite = resolve
    })
    const { broker, owner, ids } = start({ trouble: async () => void (await held) as undefined })
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    expect(ids()).toEqual([])
    letWrite()
    await turns()
    expect(ids()).toEqual(['1'])
    expect(broker.lane(lane).startsThrough).toBeGreaterThanOrEqual(0)
  })

  it('takes higher priorities first, and lets the lowest have its turn', async () => {
    const { broker, owner, ids, subscription } = start({
      credit: 0,
      ordering: 'none',
      reserve: undefined as never,
    })
    broker.publish(lane, { id: 'low', priority: 0 })
    for (let at = 0; at < 40; at += 1) broker.publish(lane, { id: `high${at}`, priority: 2 })
    owner.claim(lane)
    await turns()
    subscription.grant(20)
    await turns()
    expect(ids()[0]).toBe('high0')
    expect(ids().indexOf('low')).toBe(15)
  })

  it('reads on only as far as its window, however many wait', async () => {
    const { broker, owner } = start({ credit: 1, window: 10, ordering: 'none' })
    for (let at = 0; at < 100; at += 1) broker.publish(lane, { id: `${at}` })
    owner.claim(lane)
    await turns()
    const { ready, inFlight } = owner.lanes.gauges()
    expect(ready + inFlight).toBe(10)
    expect(owner.lanes.roomOf(lane)).toBe(0)
  })

  it('counts what is not for this consumer as skipped, and hands out what nobody knows', async () => {
    const subscriptions = [
      { address: 'orders', types: ['order.placed'], ignored: ['order.shipped'] },
    ]
    const { broker, owner, ids } = start({ group: { subscriptions } })
    broker.publish(lane, { id: '1', type: 'order.shipped' })
    broker.publish(lane, { id: '2', type: 'order.odd' })
    broker.publish(lane, { id: '3' })
    owner.claim(lane)
    await turns()
    expect(ids()).toEqual(['2', '3'])
    expect(broker.endings).toEqual([{ id: '1', as: 'skipped' }])
  })
})

describe('what becomes of a message', () => {
  it('retries at its time, counts the attempt, and holds back only its key', async () => {
    const { broker, clock, owner, deliveries, ids, settle } = start()
    for (const [id, key] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['b1', 'b'],
    ] as const)
      broker.publish(lane, { id, key })
    owner.claim(lane)
    await turns()
    expect(await settle(0, { outcome: 'retry', delayMs: 500 })).toEqual({ ok: true })
    await settle(1)
    await clock.advance(499)
    await turns()
    expect(ids()).toEqual(['a1', 'b1'])
    await clock.advance(1)
    await turns()
    expect(ids()).toEqual(['a1', 'b1', 'a1'])
    expect(deliveries[2]).toMatchObject({
      attempt: 2,
      deliveryCount: 2,
      firstFailedAt: expect.any(Number),
    })
  })

  it('does not start a retry before its failure is written', async () => {
    let open = true
    const { broker, clock, owner, ids, settle } = start({
      trouble: async () => (open ? undefined : 'before'),
    })
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    open = false
    const settled = settle(0, { outcome: 'retry', delayMs: 0 })
    await turns()
    expect(ids()).toEqual(['1'])
    open = true
    await clock.advance(5000)
    expect(await settled).toEqual({ ok: true })
    await turns()
    expect(ids()).toEqual(['1', '1'])
  })

  it('counts no attempt for a release', async () => {
    const { broker, owner, deliveries, settle } = start()
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    await settle(0, { outcome: 'release' })
    await turns()
    expect(deliveries[1]).toMatchObject({ attempt: 1, deliveryCount: 2 })
  })

  it('keeps no letter of what its handler has dropped', async () => {
    const { broker, owner, settle } = start()
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    expect(await settle(0, { outcome: 'drop' })).toEqual({ ok: true })
    await turns()
    expect(broker.endings).toEqual([{ id: '1', as: 'expired' }])
    expect(broker.letters).toEqual([])
  })

  it('never hands out what has expired', async () => {
    const { broker, clock, owner, ids } = start({ credit: 0 })
    broker.publish(lane, { id: '1', expiresAt: clock.now() + 1000 })
    owner.claim(lane)
    await clock.advance(1000)
    owner.lanes.subscribe(() => undefined).grant(1)
    await turns()
    expect(ids()).toEqual([])
    expect(broker.endings).toEqual([{ id: '1', as: 'expired' }])
    expect(broker.letters[0]).toMatchObject({
      reason: 'EXPIRED',
      messageId: '1',
      consumer: 'billing',
    })
  })

  it('keeps a key waiting behind a dead message until it is replayed or discarded', async () => {
    const { broker, owner, deliveries, ids, settle } = start({ group: blocking() })
    for (const id of ['1', '2', '3']) broker.publish(lane, { id, key: 'a' })
    owner.claim(lane)
    await turns()
    const failure = { reason: 'HANDLER_FAILED' }
    expect(await settle(0, { outcome: 'dead', failure })).toEqual({ ok: true })
    await turns()
    expect(ids()).toEqual(['1'])
    expect(owner.lanes.unblock(lane, '1', 'replay')).toBe(false)
    expect(owner.lanes.unblock(lane, '0', 'replay')).toBe(true)
    await turns()
    expect(deliveries[1]).toMatchObject({ attempt: 1, record: { id: '1' } })
    await settle(1, { outcome: 'dead', failure })
    expect(owner.lanes.unblock(lane, '0', 'discard')).toBe(true)
    await turns()
    expect(ids()).toEqual(['1', '1', '2'])
    expect(broker.letters).toHaveLength(2)
  })

  it('ignores a settlement that comes after the lane was lost, or twice', async () => {
    const { broker, owner, settle } = start({ ordering: 'none' })
    for (const id of ['1', '2']) broker.publish(lane, { id })
    owner.claim(lane)
    await turns()
    expect(await settle(0)).toEqual({ ok: true })
    expect(await settle(0)).toEqual({ ok: false, reason: 'lost' })
    broker.lane(lane).epoch += 1
    expect(await settle(1)).toEqual({ ok: false, reason: 'lost' })
    expect(owner.lanes.lanes).toEqual([])
    expect(broker.endings.map(({ id }) => id)).toEqual(['1'])
  })

  it('repeats a write whose answer was lost, and says so', async () => {
    let lose = 0
    const { broker, clock, owner, settle } = start({
      trouble: async () => (lose-- > 0 ? 'after' : undefined),
    })
    broker.publish(lane, { id: '1' })
    owner.claim(lane)
    await turns()
    lose = 2
    const settled = settle(0)
    await turns()
    await clock.advance(60)
    await turns()
    await clock.advance(200)
    expect(await settled).toEqual({ ok: true })
    expect(owner.errors.map(({ code }) => code)).toEqual(['TRANSPORT_FAILED', 'TRANSPORT_FAILED'])
    expect(broker.endings).toHaveLength(1)
  })
})

describe('handing over', () => {
  it('tells whose delivery was lost with its lane', async () => {
    const { broker, owner } = start({ credit: 0, ordering: 'none' })
    const lost: string[] = []
    owner.lanes
      .subscribe(
        () => undefined,
        (deliveries) => void lost.push(...deliveries.map(({ record }) => record.id)),
      )
      .grant(1)
    for (const id of ['1', '2']) broker.publish(lane, { id })
    owner.claim(lane)
    await turns()
    owner.lanes.forget(lane)
    expect(lost).toEqual(['1'])
  })

  it('drains a lane: starts nothing more, waits for handlers, and the next owner has no suspects', async () => {
    const broker = new LogBroker()
    const first = start({ broker, credit: 1 })
    for (const id of ['1', '2']) broker.publish(lane, { id, key: 'a' })
    first.owner.claim(lane)
    await turns()
    let isGone = false
    const gone = first.owner.release(lane).then(() => {
      isGone = true
    })
    await turns()
    expect(isGone).toBe(false)
    await first.settle(0)
    await gone
    const second = start({ broker })
    second.owner.claim(lane)
    await turns()
    expect(second.deliveries).toMatchObject([{ attempt: 1, deliveryCount: 1, record: { id: '2' } }])
  })

  it('dead-letters a message that kills its process, and no innocent one', async () => {
    const broker = new LogBroker()
    const names = Array.from({ length: 30 }, (_, at) => `m${at}`)
    for (const id of names) broker.publish(lane, { id, key: id })
    const handled = new Set<string>()
    let deaths = 0
    for (let life = 0; life < 10; life += 1) {
      const owner = start({ broker, credit: 4, group: { deliveriesMax: 4 }, reserve: 50 })
      owner.owner.claim(lane)
      let at = 0
      for (let step = 0; step < 200 && !owner.owner.isDead; step += 1) {
        await turns(5)
        if (at >= owner.deliveries.length) continue
        const { record } = owner.deliveries[at] as Delivery
        if (record.id === 'm5') {
          deaths += 1
          owner.owner.kill()
        } else {
          handled.add(record.id)
          void owner.settle(at)
          owner.subscription.grant(1)
        }
        at += 1
      }
      if (!owner.owner.isDead) owner.owner.kill()
    }
    expect(broker.letters.map(({ messageId, reason }) => [messageId, reason])).toEqual([
      ['m5', 'CRASH_LOOP'],
    ])
    expect(deaths).toBe(4)
    expect(handled.size).toBe(29)
  })
})
