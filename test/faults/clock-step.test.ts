import { describe, expect, it } from 'vitest'
import { createTestBus } from '../../src/testing/index.ts'
import { bank } from './bank.ts'

const hourMs = 3_600_000
const transfer = (number: number) => ({ from: 'account-1', to: 'account-2', amount: 1, number })

describe('a step of the wall clock', () => {
  it.each([
    ['forward', hourMs],
    ['back', -hourMs],
  ])('%s by an hour leaves what a handler is at work on with it', async (_, stepMs) => {
    const bus = await createTestBus([bank])
    const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
    const seen: number[] = []
    await bus.consume('ledger', {
      'transfer.requested': async (message) => {
        seen.push(message.data.number)
        if (message.data.number === 0) await finished
      },
    })
    await bus.publish('transfer.requested', transfer(0))
    await bus.publish('transfer.requested', transfer(1))
    await bus.clock.tick()

    bus.clock.set(bus.clock.now() + stepMs)
    await bus.clock.advance(60_000)
    finish()
    await bus.settled()

    expect(seen).toEqual([0, 1])
    expect(await bus.stats()).toMatchObject({ handled: 2, waiting: 0, dead: 0 })
    await bus.close({ drainMs: 0 })
  })

  it('keeps ids, timestamps and the order of a key growing', async () => {
    const bus = await createTestBus([bank])
    const seen: number[] = []
    await bus.consume('ledger', {
      'transfer.requested': (message) => void seen.push(message.data.number),
    })
    for (let number = 0; number < 30; number += 1) {
      await bus.publish('transfer.requested', transfer(number))
      if (number % 3 === 0)
        bus.clock.set(bus.clock.now() + (number % 2 === 0 ? hourMs : -2 * hourMs))
    }
    await bus.settled()

    const published = bus.published('transfer.requested')
    const ids = published.map((message) => message.id)
    const stamps = published.map((message) => message.timestamp)
    expect(ids).toEqual([...ids].sort())
    expect(stamps).toEqual([...stamps].sort())
    expect(seen).toEqual(Array.from({ length: 30 }, (_, at) => at))
    await bus.close({ drainMs: 0 })
  })

  it('forward makes a retry due early rather than never', async () => {
    const bus = await createTestBus([bank])
    let attempts = 0
    await bus.consume('ledger', {
      'transfer.requested': () => {
        attempts += 1
        if (attempts === 1) throw new Error('once')
      },
    })
    await bus.publish('transfer.requested', transfer(1))
    await bus.settled({ advance: false })

    bus.clock.set(bus.clock.now() + hourMs)
    await bus.settled()

    expect(attempts).toBe(2)
    expect(bus.handled('ledger')).toHaveLength(1)
    await bus.close({ drainMs: 0 })
  })
})
