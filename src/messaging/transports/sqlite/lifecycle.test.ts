import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../../core/errors.ts'
import { fakeClock } from '../../../testing/index.ts'
import { createMemoryTransport } from '../memory.ts'
import { createSqliteTransport } from './index.ts'
import { nextTurn, openScene, recordOf, type Scene } from './scene.ts'

const scenes: Scene[] = []
let folder = ''
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}

beforeEach(() => {
  folder = mkdtempSync(joinPath(tmpdir(), 'treaty-broker-'))
})
afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
  rmSync(folder, { recursive: true, force: true })
})

describe('close', () => {
  it('waits for what is out, takes its settlement, and hands out nothing new', async () => {
    const { transport, publish, join } = await scene()
    const consumer = await join(1)
    await publish({ id: 'a' }, { id: 'b' })
    consumer.subscription.grant(5)
    await nextTurn()

    const closed = transport.close({ drainMs: 60_000 })
    const settled = await consumer.ack('a', 'b')
    await closed

    expect(settled).toEqual([{ ok: true }, { ok: true }])
  })

  it('gives back at the deadline what is still out, at once and without counting an attempt', async () => {
    const path = 'memory:lifecycle-deadline'
    const [first, second] = [await scene({ path }), await scene({ path })]
    const slow = await first.join()
    await first.publish({ id: 'a' })
    const other = await second.join()

    const closed = first.transport.close({ drainMs: 5000 })
    await first.clock.advance(4999)
    expect(other.ids()).toEqual([])
    await first.clock.advance(1)
    await closed
    await nextTurn()

    expect(other.of('a')).toMatchObject({ attempt: 1, deliveryCount: 2 })
    expect(await slow.ack('a')).toEqual([{ ok: false, reason: 'lost' }])
  })

  it('may be called twice, and the second may cut the waiting short', async () => {
    const { transport, publish, join } = await scene()
    await join()
    await publish({ id: 'a' })

    const first = transport.close({ drainMs: 60_000 })
    const second = transport.close({ drainMs: 0 })

    await Promise.all([first, second])
    await transport.close({ drainMs: 1 })
  })

  it('writes what was published before, and refuses what comes after', async () => {
    const path = joinPath(folder, 'b.db')
    const { transport } = await scene({ path })

    const sent = transport.publish([recordOf({ id: 'a' })])
    await transport.close({ drainMs: 0 })

    expect(await sent).toMatchObject([{ id: 'a' }])
    await expect(transport.publish([recordOf({ id: 'b' })])).rejects.toMatchObject({
      code: 'BUS_CLOSED',
    })
    const consumer = await (await scene({ path })).join()
    expect(consumer.ids()).toEqual(['a'])
  })

  it('leaves no timer and no complaint behind', async () => {
    const errors: TreatyError[] = []
    const clock = fakeClock()
    const path = joinPath(folder, 'b.db')
    const { transport, publish, join } = await scene({
      clock,
      path,
      onError: (error) => errors.push(error),
    })
    await join()
    await publish(
      { id: 'a', expiresAt: clock.now() + 1000 },
      { id: 'b', deliverAt: clock.now() + 2000 },
    )

    const moved = clock.advance(1000)
    await transport.close({ drainMs: 0 })
    await moved
    await clock.advance(60_000)

    expect(clock.pending()).toBe(0)
    expect(errors).toEqual([])
  })

  it('is allowed before connect, which is then refused', async () => {
    const transport = createMemoryTransport()

    await transport.close({ drainMs: 0 })

    await expect(transport.connect()).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  })
})

describe('connect', () => {
  it('goes on where the last process on the file stopped', async () => {
    const path = joinPath(folder, 'deep', 'b.db')
    const first = await scene({ path })
    const before = await first.join(1)
    await first.publish({ id: 'a', key: 'k' }, { id: 'b', key: 'k' })
    await before.settle({ outcome: 'retry', delivery: before.of('a'), delayMs: 1000 })
    await first.transport.close({ drainMs: 0 })

    const second = await scene({ path })
    const after = await second.join()
    await second.clock.advance(1000)
    await after.ack('a')

    expect(after.deliveries.map(({ record, attempt }) => [record.id, attempt])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
  })

  it('refuses a file that is not a database, and names it', async () => {
    const path = joinPath(folder, 'notes.txt')
    writeFileSync(path, 'not a database, but long enough to be taken for one'.repeat(100))

    await expect(createSqliteTransport({ path }).connect()).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
    })
  })

  it('is needed before anything else', async () => {
    const transport = createMemoryTransport()

    await expect(transport.publish([recordOf({ id: 'a' })])).rejects.toMatchObject({
      code: 'TRANSPORT_NOT_CONNECTED',
    })
    await transport.close({ drainMs: 0 })
  })
})

describe('the memory transport', () => {
  it('is private unless it has a name', async () => {
    const open = async (name?: string) => {
      const transport = createMemoryTransport({ clock: fakeClock(), ...(name ? { name } : {}) })
      await transport.connect()
      return transport
    }
    const topology = { channels: [{ address: 'x', ordering: 'none' as const }], groups: [] }
    const [alone, one, two] = [await open(), await open('shared'), await open('shared')]
    await one.ensure(topology, 'create')

    const seen = await Promise.all([alone, two].map((each) => each.ensure(topology, 'verify')))

    expect(seen.map(({ missing }) => missing)).toEqual([['channel x'], []])
    for (const each of [alone, one, two]) await each.close({ drainMs: 0 })
  })

  it('says why it does not survive, and claims all else', () => {
    const { capabilities } = createMemoryTransport()

    expect(capabilities).toMatchObject({
      durable: false,
      multiProcess: false,
      transactions: 'sync',
    })
    expect(Object.keys(capabilities.denials)).toEqual(['durable', 'multiProcess'])
  })
})
