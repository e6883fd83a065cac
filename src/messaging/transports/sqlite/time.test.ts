import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openSqliteFile } from '../../../store/index.ts'
import { fakeClock } from '../../../testing/index.ts'
import { openScene, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
async function row({ transport }: Scene) {
  const { counts } = await transport.stats()
  return counts.find(({ consumer }) => consumer === 'billing')
}

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('time to live', () => {
  it('is over at its very instant, and not before', async () => {
    const opened = await scene()
    const { clock, publish, join, transport } = opened
    await publish({ id: 'a', expiresAt: clock.now() + 1000 })
    await publish({ id: 'b', expiresAt: clock.now() + 1001 })
    clock.setTimeout(() => undefined, 1000)
    await clock.advance(1000)

    const consumer = await join()

    expect(consumer.ids()).toEqual(['b'])
    const { items } = await transport.dead.list({}, { limit: 9 })
    expect(items).toMatchObject([{ messageId: 'a', reason: 'EXPIRED', attempts: 0 }])
    expect(await row(opened)).toMatchObject({ deliveries: 2, dead: 0, expired: 1, waiting: 1 })
  })

  it('ends a message that waits for credit at its time, without anybody asking', async () => {
    const opened = await scene()
    await opened.join(0)
    await opened.publish({ id: 'a', expiresAt: opened.clock.now() + 1000 })

    await opened.clock.advance(1000)

    expect(await row(opened)).toMatchObject({ expired: 1, waiting: 0 })
  })

  it('does not end what is with a handler, but ends its retry', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    await opened.publish({ id: 'a', expiresAt: opened.clock.now() + 1000 })
    await opened.clock.advance(5000)
    expect(await row(opened)).toMatchObject({ expired: 0, waiting: 1 })

    await consumer.settle({ outcome: 'retry', delivery: consumer.of('a'), delayMs: 0 })

    expect(consumer.ids()).toEqual(['a'])
    expect(await row(opened)).toMatchObject({ expired: 1, retried: 0, waiting: 0 })
  })

  it('ends a message during the delay of its retry', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    await opened.publish({ id: 'a', expiresAt: opened.clock.now() + 1000 })
    await consumer.settle({ outcome: 'retry', delivery: consumer.of('a'), delayMs: 3000 })

    await opened.clock.advance(3000)

    expect(consumer.ids()).toEqual(['a'])
    expect(await row(opened)).toMatchObject({ expired: 1, retried: 1, waiting: 0 })
  })

  it('leaves no dead letter where the contract says drop', async () => {
    const opened = await scene({ groups: [{ deadLetter: { onExpired: 'drop' } }] })
    await opened.join(0)
    await opened.publish({ id: 'a', expiresAt: opened.clock.now() + 1 })

    await opened.clock.advance(1)

    expect(await opened.transport.dead.count({})).toBe(0)
    expect(await row(opened)).toMatchObject({ expired: 1, waiting: 0 })
  })

  it('frees the next message of the key', async () => {
    const { clock, publish, join } = await scene()
    await publish({ id: 'a1', key: 'a', expiresAt: clock.now() + 10 }, { id: 'a2', key: 'a' })
    await clock.advance(10)

    const consumer = await join()

    expect(consumer.ids()).toEqual(['a2'])
  })
})

describe('a message for later', () => {
  it('is handed out at its time, to a consumer that waits and to one that comes', async () => {
    const { clock, publish, join } = await scene()
    const consumer = await join()
    await publish({ id: 'a', deliverAt: clock.now() + 5000 })
    await clock.advance(4999)
    expect(consumer.ids()).toEqual([])

    await clock.advance(1)

    expect(consumer.ids()).toEqual(['a'])
  })

  it('is delayed in the statistics, then ready', async () => {
    const { clock, publish, transport } = await scene()
    await publish({ id: 'a', deliverAt: clock.now() + 5000 })
    const before = await transport.stats()

    await clock.advance(5000)

    const after = await transport.stats()
    expect(before.groups[0]).toMatchObject({ ready: 0, delayed: 1, oldestAgeMs: null })
    expect(after.groups[0]).toMatchObject({ ready: 1, delayed: 0 })
  })
})

describe('retention', () => {
  it('keeps a message for its time after all are done with it', async () => {
    const { clock, publish, join, transport } = await scene({ channel: { retentionMs: 100_000 } })
    const consumer = await join()
    await publish({ id: 'a' }, { id: 'b' })
    await consumer.ack('a')

    await clock.advance(90_000)
    const during = await transport.browse?.({ limit: 10 })
    await clock.advance(120_000)
    const after = await transport.browse?.({ limit: 10 })
    await consumer.ack('b')
    const atLast = await transport.browse?.({ limit: 10 })

    expect(during?.items.map(({ record }) => record.id)).toEqual(['a', 'b'])
    expect(after?.items.map(({ record }) => record.id)).toEqual(['b'])
    expect(atLast?.items).toEqual([])
  })

  it('lets a clock that jumps by a month do so quickly', async () => {
    const { clock, publish, join } = await scene()
    const consumer = await join()
    await publish({ id: 'a', deliverAt: clock.now() + 30 * 86_400_000 })

    await clock.advance(30 * 86_400_000)

    expect(consumer.ids()).toEqual(['a'])
  })
})

describe('upkeep', () => {
  it('forgets keys of inbox and dedup window whose time is over, however many', async () => {
    const path = 'memory:upkeep'
    const { clock, publish, join } = await scene({ path })
    const consumer = await join(3000)
    const ids = Array.from({ length: 2500 }, (_, at) => `m${at}`)
    await publish(...ids.map((id) => ({ id, dedupWindowMs: 1000 })))
    await consumer.settle(
      ...ids.map((id) => ({
        outcome: 'ack' as const,
        delivery: consumer.of(id),
        inbox: { key: id, untilMs: clock.now() + 1000 },
      })),
    )
    const file = openSqliteFile(path)
    const count = (table: string) =>
      Number(file.prepare(`SELECT count(*) AS keys FROM ${table}`).get()?.keys)
    const before = [count('bus_inbox'), count('bus_dedup')]

    await clock.advance(3000)

    const after = [count('bus_inbox'), count('bus_dedup')]
    file.close()
    expect([before, after]).toEqual([
      [2500, 2500],
      [0, 0],
    ])
  })

  it('gives the space of a backlog back to the disk when nothing happens', async () => {
    const folder = mkdtempSync(joinPath(tmpdir(), 'treaty-broker-'))
    const { clock, publish, join, transport } = await scene({ path: joinPath(folder, 'b.db') })
    const body = new Uint8Array(9000)
    await publish(...Array.from({ length: 2500 }, (_, at) => ({ id: `m${at}`, body })))
    const consumer = await join(3000)
    await consumer.ack(...consumer.ids())
    const file = openSqliteFile(joinPath(folder, 'b.db'))
    const pages = () => Number(file.prepare('PRAGMA page_count').get()?.page_count)
    const before = pages()

    await clock.advance(20_000)

    const after = pages()
    file.close()
    await transport.close({ drainMs: 0 })
    rmSync(folder, { recursive: true, force: true })
    expect(before).toBeGreaterThan(5000)
    expect(after).toBeLessThan(4500)
  })
})

describe('the inbox', () => {
  it('remembers a key for its group until its time', async () => {
    const { clock, publish, join, transport } = await scene({
      groups: [{}, { name: 'shop.audit' }],
    })
    const consumer = await join()
    await publish({ id: 'a' })
    const inbox = { key: 'a', untilMs: clock.now() + 1000 }
    await consumer.settle({ outcome: 'ack', delivery: consumer.of('a'), inbox })

    expect(await transport.inboxSeen?.('shop.billing', ['a', 'b'])).toEqual([true, false])
    expect(await transport.inboxSeen?.('shop.audit', ['a'])).toEqual([false])
    await clock.advance(1000)

    expect(await transport.inboxSeen?.('shop.billing', ['a'])).toEqual([false])
  })
})
