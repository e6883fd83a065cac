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

it.each([
  [true, 'is forgotten'],
  [false, 'fills the window'],
])(
  'what has ended behind a message that waits for long: with withoutViews %s it %s',
  async (withoutViews) => {
    const lanes = createLaneGroup({
      group: {
        name: 'shop.billing',
        consumer: 'billing',
        subscriptions: [{ address: 'orders', types: '*' }],
        start: 'earliest',
        deadLetter: { address: 'd', retentionMs: 1, onDead: 'next', onExpired: 'drop' },
        deliveriesMax: 5,
      },
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
