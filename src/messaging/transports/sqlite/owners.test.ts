import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../../core/errors.ts'
import { fakeClock } from '../../../testing/index.ts'
import { createProcessTable, isGone, type ProcessTable } from './owners.ts'
import { groupOf, nextTurn, openScene, type Scene } from './scene.ts'

const scenes: Scene[] = []
let names = 0
/** Two transports on one database; each has its own clock, so that one can fall silent. */
async function pair(options: Partial<Parameters<typeof openScene>[0]> = {}) {
  names += 1
  const path = `memory:owners-${names}`
  const open = async (more: typeof options = {}) => {
    const clock = fakeClock()
    const scene = await openScene({ clock, path, leaseMs: 30_000, ...options, ...more })
    scenes.push(scene)
    return { ...scene, clock }
  }
  return { open }
}

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('a transport that falls silent', () => {
  it('loses what it had out when its lease has passed, and not before', async () => {
    const { open } = await pair()
    const [silent, other] = [await open(), await open()]
    const first = await silent.join()
    await silent.publish({ id: 'a' })
    const second = await other.join()

    await other.clock.advance(29_000)
    expect(second.ids()).toEqual([])
    await other.clock.advance(2000)

    expect(first.ids()).toEqual(['a'])
    expect(second.ids()).toEqual(['a'])
    expect(second.of('a')).toMatchObject({ attempt: 1, deliveryCount: 2 })
  })

  it('cannot settle any more, says so, and goes on with an owner of its own', async () => {
    const errors: TreatyError[] = []
    const { open } = await pair()
    const [silent, other] = [await open({ onError: (error) => errors.push(error) }), await open()]
    const first = await silent.join()
    await silent.publish({ id: 'a' })
    const second = await other.join()
    await other.clock.advance(31_000)
    const mine = first.of('a')

    const late = await first.settle({ outcome: 'ack', delivery: mine })
    const good = await second.ack('a')
    await silent.publish({ id: 'b' })
    const after = [...first.ids(), ...second.ids()]

    expect(late).toEqual([{ ok: false, reason: 'lost' }])
    expect(good).toEqual([{ ok: true }])
    expect(errors.map(({ code }) => code)).toEqual(['LEASES_LOST'])
    expect(after.filter((id) => id === 'b')).toHaveLength(1)
  })

  it('keeps what it had out as long as it renews its lease', async () => {
    const { open } = await pair()
    const [busy, other] = [await open(), await open()]
    const first = await busy.join()
    await busy.publish({ id: 'a' })
    const second = await other.join()

    for (let step = 0; step < 12; step += 1) {
      await busy.clock.advance(10_000)
      await other.clock.advance(10_000)
    }

    expect(second.ids()).toEqual([])
    expect(await first.ack('a')).toEqual([{ ok: true }])
  })

  it('gets its reply queue back, empty, when it wakes', async () => {
    const { open } = await pair()
    const [silent, other] = [await open(), await open()]
    const replies = groupOf({
      name: 'replies.1',
      ephemeral: true,
      subscriptions: [{ address: 'replies.1', types: '*' }],
    })
    const topology = {
      channels: [{ address: 'replies.1', ordering: 'none' as const }],
      groups: [replies],
    }
    await silent.transport.ensure(topology, 'create')
    const waiter = await silent.join(10, 'replies.1')
    await other.publish({ id: 'first', address: 'replies.1' })
    await nextTurn()
    await other.clock.advance(31_000)
    await other.publish({ id: 'too late', address: 'replies.1' })

    await silent.publish({ id: 'wakes it', address: 'orders' })
    await other.publish({ id: 'second', address: 'replies.1' })
    await nextTurn()

    expect(waiter.ids()).toEqual(['first', 'second'])
  })
})

describe('a process that is gone', () => {
  /** A table in which the other process can be made to die. */
  function tables() {
    const alive = new Map([
      [1, 'began at 10'],
      [2, 'began at 20'],
    ])
    const table = (pid: number): ProcessTable => ({
      pid,
      machine: 'one',
      startOf: (asked) => alive.get(asked) ?? null,
    })
    return { alive, first: table(1), second: table(2) }
  }

  it('gives up what it had out within a second or two, long before its lease passes', async () => {
    const { open } = await pair()
    const { alive, first, second } = tables()
    const [killed, other] = [await open({ processes: first }), await open({ processes: second })]
    await killed.join(1)
    await killed.publish({ id: 'a' })
    const consumer = await other.join()

    alive.delete(1)
    await other.clock.advance(1100)

    expect(consumer.ids()).toEqual(['a'])
  })

  it('is told from another that got its number', async () => {
    const { open } = await pair()
    const { alive, first, second } = tables()
    const [killed, other] = [await open({ processes: first }), await open({ processes: second })]
    await killed.join(1)
    await killed.publish({ id: 'a' })

    alive.set(1, 'began at 99')
    const consumer = await other.join()
    await other.clock.advance(1100)

    expect(consumer.ids()).toEqual(['a'])
  })

  it('frees its work when the next process starts', async () => {
    const { open } = await pair()
    const { alive, first, second } = tables()
    const killed = await open({ processes: first })
    await killed.join(1)
    await killed.publish({ id: 'a' })
    alive.delete(1)

    const consumer = await (await open({ processes: second })).join()

    expect(consumer.ids()).toEqual(['a'])
  })

  it('does not hand out for ever what ended it', async () => {
    const { open } = await pair({ groups: [{ deliveriesMax: 3 }] })
    const { alive, first, second } = tables()
    const watcher = await open({ processes: second })
    await watcher.publish({ id: 'poison' })
    for (let life = 0; life < 3; life += 1) {
      alive.set(1, `life ${life}`)
      const victim = await open({ processes: first })
      const consumer = await victim.join(1)
      expect(consumer.of('poison')).toMatchObject({ attempt: 1, deliveryCount: life + 1 })
      alive.delete(1)
      await watcher.clock.advance(1100)
    }

    const last = await watcher.join()

    expect(last.ids()).toEqual([])
    const { items } = await watcher.transport.dead.list({}, { limit: 9 })
    expect(items).toMatchObject([{ messageId: 'poison', reason: 'CRASH_LOOP', attempts: 3 }])
  })
})

describe('the process table', () => {
  const owner = { id: 1, pid: 1, machine: '', started: 's', leaseUntil: 100 }

  it('concludes nothing from the pid of another machine, or where nothing can be told', () => {
    const nobody: ProcessTable = { pid: 9, machine: 'here', startOf: () => null }

    expect(isGone({ ...owner, machine: 'there' }, nobody, 0)).toBe(false)
    expect(isGone({ ...owner, machine: 'here' }, nobody, 0)).toBe(true)
    expect(isGone(owner, { ...nobody, machine: '' }, 0)).toBe(false)
    expect(isGone(owner, nobody, 100)).toBe(true)
  })

  it.runIf(process.platform === 'linux')(
    'knows a living process from one that has ended',
    async () => {
      const table = createProcessTable()
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
      await once(child, 'spawn')
      const pid = child.pid ?? 0
      const started = table.startOf(pid)
      child.kill('SIGKILL')
      await once(child, 'exit')

      expect(table.startOf(table.pid)).toMatch(/^\d+$/)
      expect(started).toMatch(/^\d+$/)
      expect(table.startOf(pid)).toBeNull()
    },
  )
})
