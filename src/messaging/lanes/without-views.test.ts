import { expect, it } from 'vitest'
import { fakeClock } from '../../testing/fake-clock.ts'
import type { Settlement } from '../transport.ts'
import { createLaneGroup } from './lane-group.ts'

const record = (id: string) => ({
  id,
  address: 'orders',
  type: 'placed',
  body: new Uint8Array(1),
  headers: {},
  contentType: 'text/plain',
  position: id,
  publishedAt: 0,
})

const group = {
  name: 'shop.billing',
  consumer: 'billing',
  subscriptions: [{ address: 'orders', types: '*' as const }],
  start: 'earliest' as const,
  deadLetter: { address: 'd', retentionMs: 1, onDead: 'next', onExpired: 'drop' } as const,
  deliveriesMax: 5,
}

it('what was written although its lane was lost meanwhile counts as done', async () => {
  const written = Promise.withResolvers<void>()
  const lanes = createLaneGroup({
    group,
    orderingOf: () => 'none',
    clock: fakeClock(),
    writes: 'per-lane',
    onError: () => undefined,
    driver: {
      async write(writes) {
        await written.promise
        return writes.map(() => 'written')
      },
      mayStart: () => true,
    },
  })
  const results: Promise<unknown>[] = []
  const subscription = lanes.subscribe(([delivery]) => {
    if (delivery) results.push(lanes.settle([{ outcome: 'ack', delivery }]))
  })
  subscription.grant(1)
  lanes.assign('lane')
  lanes.offer('lane', [{ id: '1', record: record('1') }])
  await Promise.resolve()
  lanes.forget('lane')
  written.resolve()

  expect(await results[0]).toEqual([{ ok: true }])
})

it.each([
  [true, 'is forgotten'],
  [false, 'fills the window'],
])(
  'what has ended behind a message that waits for long: with withoutViews %s it %s',
  async (withoutViews) => {
    const lanes = createLaneGroup({
      group,
      orderingOf: () => 'none',
      clock: fakeClock(),
      writes: 'per-lane',
      windowMax: 1000,
      withoutViews,
      onError: () => undefined,
      driver: { write: async (writes) => writes.map(() => 'written'), mayStart: () => true },
    })
    const settled: Promise<unknown>[] = []
    const subscription = lanes.subscribe((deliveries) => {
      const settlements = deliveries.map(
        (delivery): Settlement =>
          delivery.record.id === '0'
            ? { outcome: 'retry', delivery, delayMs: 3_600_000 }
            : { outcome: 'ack', delivery },
      )
      settled.push(lanes.settle(settlements))
    })
    subscription.grant(5000)
    lanes.assign('lane')
    for (let number = 0; number < 3000; number += 1) {
      lanes.offer('lane', [{ id: String(number), record: record(String(number)) }])
      if (number % 100 === 99) await Promise.all(settled.splice(0))
    }

    expect(lanes.roomOf('lane') > 0).toBe(withoutViews)
    expect(lanes.gauges()).toMatchObject({ ready: 0, inFlight: 0, delayed: 1 })
  },
)
