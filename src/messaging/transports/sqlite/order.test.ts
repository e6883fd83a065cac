import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../../testing/index.ts'
import { type Collector, nextTurn, openScene, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
const block = { deadLetter: { onDead: 'block' as const } }
const keyed = (...ids: string[]) => ids.map((id) => ({ id, key: id.slice(0, 1) }))
const kill = (consumer: Collector, id: string) =>
  consumer.settle({
    outcome: 'dead',
    delivery: consumer.of(id),
    failure: { reason: 'HANDLER_FAILED' },
  })
const letterOf = async ({ transport }: Scene, messageId: string) => {
  const { items } = await transport.dead.list({}, { limit: 100 })
  return items.find((item) => item.messageId === messageId)?.id ?? ''
}

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('the order of a key', () => {
  it('lets one message of a key out at a time, and other keys beside it', async () => {
    const { publish, join } = await scene()
    const consumer = await join()

    await publish(...keyed('a1', 'a2', 'b1', 'a3'))
    expect(consumer.ids()).toEqual(['a1', 'b1'])
    await consumer.ack('a1')
    await consumer.ack('a2')

    expect(consumer.ids()).toEqual(['a1', 'b1', 'a2', 'a3'])
  })

  it('holds through a retry', async () => {
    const { publish, join, clock } = await scene()
    const consumer = await join()
    await publish(...keyed('a1', 'a2'))

    await consumer.settle({ outcome: 'retry', delivery: consumer.of('a1'), delayMs: 500 })
    await clock.advance(499)
    expect(consumer.ids()).toEqual(['a1'])
    await clock.advance(1)
    await consumer.ack('a1')

    expect(consumer.ids()).toEqual(['a1', 'a1', 'a2'])
  })

  it('goes on behind a dead message where the contract says next', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    await opened.publish(...keyed('a1', 'a2', 'a3'))

    await kill(consumer, 'a1')
    await opened.transport.dead.replay(await letterOf(opened, 'a1'))
    await consumer.ack('a2')
    await consumer.ack('a3')

    expect(consumer.ids()).toEqual(['a1', 'a2', 'a3', 'a1'])
    expect(consumer.of('a1')).toMatchObject({ attempt: 1, deliveryCount: 1 })
  })

  it('waits at a dead message where the contract says block, and a replay resumes in its place', async () => {
    const opened = await scene({ groups: [block] })
    const consumer = await opened.join()
    await opened.publish(...keyed('a1', 'a2', 'b1'))

    await kill(consumer, 'a1')
    await opened.publish(...keyed('a3'))
    expect(consumer.ids()).toEqual(['a1', 'b1'])
    await opened.transport.dead.replay(await letterOf(opened, 'a1'))
    await nextTurn()
    await consumer.ack('a1')
    await consumer.ack('a2')

    expect(consumer.ids()).toEqual(['a1', 'b1', 'a1', 'a2', 'a3'])
    expect(await opened.transport.dead.count({})).toBe(0)
  })

  it('resumes behind a discarded dead message', async () => {
    const opened = await scene({ groups: [block] })
    const consumer = await opened.join()
    await opened.publish(...keyed('a1', 'a2'))
    await kill(consumer, 'a1')

    await opened.transport.dead.discard(await letterOf(opened, 'a1'))
    await nextTurn()

    expect(consumer.ids()).toEqual(['a1', 'a2'])
    const { counts } = await opened.transport.stats()
    expect(counts.at(-1)).toMatchObject({ deliveries: 2, dead: 1, waiting: 1 })
  })

  it('keeps a message that died while it waited in its place', async () => {
    const opened = await scene({ groups: [block] })
    const consumer = await opened.join()
    const { clock } = opened
    await opened.publish(
      { id: 'a1', key: 'a' },
      { id: 'a2', key: 'a', expiresAt: clock.now() + 1000 },
      { id: 'a3', key: 'a' },
    )

    await clock.advance(1000)
    await consumer.ack('a1')
    expect(consumer.ids()).toEqual(['a1'])
    await opened.transport.dead.replay(await letterOf(opened, 'a2'))
    await nextTurn()
    await consumer.ack('a2')

    expect(consumer.ids()).toEqual(['a1', 'a2', 'a3'])
    expect(consumer.of('a2').record.expiresAt).toBeUndefined()
  })

  it('does not resume a key twice when a dead message in its midst is discarded', async () => {
    const opened = await scene({ groups: [block] })
    const consumer = await opened.join()
    const { clock } = opened
    await opened.publish(
      { id: 'a1', key: 'a' },
      { id: 'a2', key: 'a', expiresAt: clock.now() + 1000 },
      { id: 'a3', key: 'a' },
    )
    await clock.advance(1000)

    await opened.transport.dead.discard(await letterOf(opened, 'a2'))
    await nextTurn()
    expect(consumer.ids()).toEqual(['a1'])
    await consumer.ack('a1')

    expect(consumer.ids()).toEqual(['a1', 'a3'])
  })

  it('is that of the whole channel where the contract says so', async () => {
    const { publish, join } = await scene({ channel: { ordering: 'per-channel' } })
    const consumer = await join()

    await publish({ id: 'a', key: 'x' }, { id: 'b' }, { id: 'c', key: 'y' })
    const first = consumer.ids()
    await consumer.ack('a')
    await consumer.ack('b')

    expect(first).toEqual(['a'])
    expect(consumer.ids()).toEqual(['a', 'b', 'c'])
  })

  it('is not kept where the contract says none', async () => {
    const { publish, join } = await scene({ channel: { ordering: 'none' } })
    const consumer = await join()

    await publish(...keyed('a1', 'a2'))

    expect(consumer.ids()).toEqual(['a1', 'a2'])
  })

  it('lets a message published for later hold nobody up until it is due', async () => {
    const { publish, join, clock } = await scene()
    const consumer = await join()
    await publish({ id: 'a1', key: 'a', deliverAt: clock.now() + 1000 }, ...keyed('a2', 'a3'))
    expect(consumer.ids()).toEqual(['a2'])

    await clock.advance(1000)
    expect(consumer.ids()).toEqual(['a2'])
    await consumer.ack('a2')
    await consumer.ack('a1')

    expect(consumer.ids()).toEqual(['a2', 'a1', 'a3'])
  })
})

describe('priority', () => {
  it('overtakes, oldest first within a level', async () => {
    const { publish, join } = await scene()
    const order = ['n1', 'l1', 'c1', 'h1', 'n2', 'c2']
    const levels: Record<string, number> = { l: 0, n: 1, h: 2, c: 3 }
    await publish(...order.map((id) => ({ id, priority: levels[id.slice(0, 1)] ?? 1 })))

    const consumer = await join()

    expect(consumer.ids()).toEqual(['c1', 'c2', 'h1', 'n1', 'n2', 'l1'])
  })

  it.each([1, 5, 100])('gives every sixteenth slot to the oldest, %i at a time', async (step) => {
    const { publish, join } = await scene()
    await publish({ id: 'low1', priority: 0 }, { id: 'low2', priority: 0 })
    await publish(...Array.from({ length: 60 }, (_, at) => ({ id: `c${at}`, priority: 3 })))

    const consumer = await join(step)
    while (consumer.ids().length < 50) {
      consumer.subscription.grant(step)
      await nextTurn()
    }

    expect(consumer.ids().indexOf('low1')).toBe(15)
    expect(consumer.ids().indexOf('low2')).toBe(31)
    expect(new Set(consumer.ids()).size).toBe(consumer.ids().length)
  })
})
