import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../../testing/index.ts'
import type { BrowseQuery } from '../../transport.ts'
import { nextTurn, openScene, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
const kept = { channel: { retentionMs: 1_000_000 } }
async function browse({ transport }: Scene, query: Partial<BrowseQuery> = {}) {
  const page = await transport.browse?.({ limit: 100, ...query })
  if (page === undefined) throw new Error('the broker can look back')
  return page
}
const idsOf = (page: Awaited<ReturnType<typeof browse>>) =>
  page.items.map(({ record }) => record.id)

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('browse', () => {
  it.each([
    ['kept', kept],
    ['unfinished', {}],
  ])('finds the %s messages of a correlation id, oldest first, in pages', async (_, options) => {
    const opened = await scene(options)
    await opened.publish(
      ...['a', 'b', 'c', 'd', 'e'].map((id) => ({
        id,
        correlationId: id === 'b' ? 'other' : 'one',
        type: id === 'd' ? 'order.paid' : 'order.placed',
      })),
    )

    const first = await browse(opened, { correlationId: 'one', limit: 2 })
    const second = await browse(opened, {
      correlationId: 'one',
      limit: 2,
      cursor: first.next ?? '',
    })

    expect(idsOf(first)).toEqual(['a', 'c'])
    expect(idsOf(second)).toEqual(['d', 'e'])
    expect(second.next).toBeUndefined()
    expect(idsOf(await browse(opened, { correlationId: 'one', event: 'order.paid' }))).toEqual([
      'd',
    ])
    expect(idsOf(await browse(opened, { event: 'order.paid' }))).toEqual(['d'])
    expect(idsOf(await browse(opened, { correlationId: 'none' }))).toEqual([])
  })

  it('walks all messages page by page', async () => {
    const opened = await scene(kept)
    await opened.publish(...Array.from({ length: 7 }, (_, at) => ({ id: `m${at}` })))

    const seen: string[] = []
    let page = await browse(opened, { limit: 3 })
    for (;;) {
      seen.push(...idsOf(page))
      if (page.next === undefined) break
      page = await browse(opened, { limit: 3, cursor: page.next })
    }

    expect(seen).toEqual(Array.from({ length: 7 }, (_, at) => `m${at}`))
  })

  it('says what became of a message in each group', async () => {
    const opened = await scene({
      ...kept,
      groups: [{}, { name: 'shop.audit', start: 'latest' }],
    })
    const consumer = await opened.join()
    const stateOf = async (id: string) => {
      const { items } = await browse(opened)
      return items.find(({ record }) => record.id === id)?.consumers[0]
    }
    await opened.publish(
      { id: 'ack', key: 'k' },
      { id: 'behind', key: 'k' },
      { id: 'retry' },
      { id: 'dead' },
      { id: 'later', deliverAt: opened.clock.now() + 1000 },
    )
    expect(await stateOf('ack')).toEqual({ consumer: 'billing', state: 'in-flight', attempts: 1 })
    expect(await stateOf('behind')).toMatchObject({ state: 'blocked', attempts: 0 })
    expect(await stateOf('later')).toMatchObject({ state: 'waiting', attempts: 0 })

    await consumer.settle(
      { outcome: 'ack', delivery: consumer.of('ack') },
      { outcome: 'retry', delivery: consumer.of('retry'), delayMs: 10 },
      { outcome: 'dead', delivery: consumer.of('dead'), failure: { reason: 'REJECTED' } },
    )

    expect(await stateOf('ack')).toMatchObject({ state: 'done', attempts: 1 })
    expect(await stateOf('retry')).toMatchObject({ state: 'retrying', attempts: 1 })
    expect(await stateOf('dead')).toMatchObject({ state: 'dead', attempts: 1 })
    await opened.clock.advance(10)
    await consumer.ack('retry')
    expect(await stateOf('retry')).toMatchObject({ state: 'done', attempts: 2 })
  })

  it('shows a replay as the message that it stands for', async () => {
    const opened = await scene(kept)
    const consumer = await opened.join()
    await opened.publish({ id: 'a' })
    const failure = { reason: 'REJECTED' }
    await consumer.settle({ outcome: 'dead', delivery: consumer.of('a'), failure })
    const { items } = await opened.transport.dead.list({}, { limit: 1 })

    await opened.transport.dead.replay(items[0]?.id ?? '')
    await nextTurn()

    const during = await browse(opened)
    await consumer.ack('a')
    const after = await browse(opened)
    expect(during.items.map(({ consumers }) => consumers[0]?.state)).toEqual(['in-flight'])
    expect(after.items.map(({ consumers }) => consumers[0]?.state)).toEqual(['done'])
  })

  it('leaves out a group that began after the message', async () => {
    const opened = await scene(kept)
    await opened.publish({ id: 'a' })
    const [group] = opened.topology.groups
    if (group === undefined) throw new Error('the scene has a group')
    const late = { ...group, name: 'shop.late', consumer: 'late', start: 'latest' as const }
    await opened.transport.ensure({ channels: [], groups: [late] }, 'create')

    const { items } = await browse(opened)

    expect(items[0]?.consumers.map(({ consumer }) => consumer)).toEqual(['billing'])
  })

  it('refuses a cursor that it did not give out', async () => {
    const opened = await scene()

    await expect(browse(opened, { cursor: 'nope' })).rejects.toMatchObject({
      code: 'CURSOR_INVALID',
    })
  })
})

describe('stats', () => {
  it('tell what is ready, out, delayed and blocked, and how old the oldest is', async () => {
    const opened = await scene()
    const consumer = await opened.join(2)
    await opened.publish({ id: 'a1', key: 'a' }, { id: 'a2', key: 'a' }, { id: 'b' }, { id: 'c' })
    await consumer.settle({ outcome: 'retry', delivery: consumer.of('b'), delayMs: 60_000 })
    await opened.clock.advance(3000)

    const { groups } = await opened.transport.stats()

    expect(groups).toEqual([
      {
        group: 'shop.billing',
        ready: 1,
        inFlight: 1,
        delayed: 1,
        blocked: 1,
        oldestAgeMs: 3000,
      },
    ])
  })

  it('outlive the process, because they are in the file', async () => {
    const path = 'memory:stats'
    const [first, second] = [await scene({ path }), await scene({ path })]
    const consumer = await first.join()
    await first.publish({ id: 'a' })
    await consumer.ack('a')
    await first.transport.close({ drainMs: 0 })

    const { counts } = await second.transport.stats()

    expect(
      counts.map(({ consumer: name, published, handled }) => [name, published, handled]),
    ).toEqual([
      [null, 1, 0],
      ['billing', 0, 1],
    ])
  })
})
