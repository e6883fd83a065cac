import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../../testing/index.ts'
import { nextTurn, openScene, recordOf, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
const failure = {
  reason: 'HANDLER_FAILED',
  message: 'no such customer',
  errorClass: 'RangeError',
  stack: 'RangeError: …',
  findings: [{ code: 'X', message: 'm', severity: 'error' as const }],
  contract: 'shop',
  contractVersion: '1.0.0',
}
async function row({ transport }: Scene, consumer: string | null = 'billing') {
  const { counts } = await transport.stats()
  return counts.find((each) => each.consumer === consumer)
}
/** Publishes messages and settles each as dead. */
async function die(opened: Scene, ...ids: string[]) {
  const consumer = await opened.join()
  await opened.publish(...ids.map((id) => ({ id, key: id, correlationId: 'c' })))
  for (const id of ids) {
    await consumer.settle({ outcome: 'dead', delivery: consumer.of(id), failure })
  }
  const { items } = await opened.transport.dead.list({}, { limit: 100 })
  return { consumer, letters: items }
}

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('a dead letter', () => {
  it('has the message as it was, and all that is known of the failure', async () => {
    const opened = await scene()
    const { letters } = await die(opened, 'a')

    const letter = await opened.transport.dead.get(letters[0]?.id ?? '')

    const at = opened.clock.now()
    expect({ ...letter, body: new TextDecoder().decode(letter?.body) }).toEqual({
      ...failure,
      id: letters[0]?.id,
      messageId: 'a',
      event: 'order.placed',
      consumer: 'billing',
      group: 'shop.billing',
      attempts: 1,
      firstFailedAt: at,
      failedAt: at,
      address: 'orders',
      position: '0000000000000001',
      key: 'a',
      correlationId: 'c',
      body: 'a',
      headers: {},
      contentType: 'text/plain',
    })
  })

  it('knows the first failure and the number of attempts', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    await opened.publish({ id: 'a' })
    const begunAt = opened.clock.now()

    await consumer.settle({ outcome: 'retry', delivery: consumer.of('a'), delayMs: 700 })
    await opened.clock.advance(700)
    await consumer.settle({ outcome: 'dead', delivery: consumer.of('a'), failure })

    const { items } = await opened.transport.dead.list({}, { limit: 1 })
    expect(items[0]).toMatchObject({
      attempts: 2,
      firstFailedAt: begunAt,
      failedAt: begunAt + 700,
    })
  })

  it('is found by consumer, event, reason and time, in pages', async () => {
    const opened = await scene()
    const { letters } = await die(opened, 'a', 'b', 'c')
    const { dead } = opened.transport
    const at = opened.clock.now()

    const first = await dead.list({ consumer: 'billing', event: 'order.placed' }, { limit: 2 })
    const second = await dead.list({}, { limit: 2, cursor: first.next ?? '' })

    expect([...first.items, ...second.items]).toEqual(letters)
    expect(second.next).toBeUndefined()
    expect(await dead.count({ reason: 'HANDLER_FAILED', failedAfter: at, failedBefore: at })).toBe(
      3,
    )
    expect(await dead.count({ failedAfter: at + 1 })).toBe(0)
    expect(await dead.count({ reason: 'EXPIRED' })).toBe(0)
    await expect(dead.list({}, { limit: 1, cursor: 'x' })).rejects.toMatchObject({
      code: 'CURSOR_INVALID',
    })
  })

  it('goes when its retention is over', async () => {
    const opened = await scene({ groups: [{ deadLetter: { retentionMs: 10_000 } }] })
    await die(opened, 'a')

    await opened.clock.advance(120_000)

    expect(await opened.transport.dead.count({})).toBe(0)
    expect(await row(opened)).toMatchObject({ deliveries: 1, dead: 1, waiting: 0 })
  })
})

describe('replay', () => {
  it('reaches only the consumer whose letter it is, and counts the message as waiting again', async () => {
    const opened = await scene({ groups: [{}, { name: 'shop.audit' }] })
    const audit = await opened.join(10, 'shop.audit')
    const { consumer, letters } = await die(opened, 'a')

    const found = await opened.transport.dead.replay(letters[0]?.id ?? '')
    await nextTurn()

    expect(found).toBe(true)
    expect(consumer.deliveries.map(({ record, attempt }) => [record.id, attempt])).toEqual([
      ['a', 1],
      ['a', 1],
    ])
    expect(audit.ids()).toEqual(['a'])
    expect(await opened.transport.dead.count({})).toBe(0)
    expect(await row(opened)).toMatchObject({ deliveries: 1, dead: 0, waiting: 1 })
    await consumer.ack('a')
    expect(await row(opened)).toMatchObject({ deliveries: 1, handled: 1, dead: 0, waiting: 0 })
  })

  it('says false for a letter that is not there', async () => {
    const { transport } = await scene()

    expect(await transport.dead.replay('nope')).toBe(false)
    expect(await transport.dead.discard('nope')).toBe(false)
    expect(await transport.dead.get('nope')).toBeUndefined()
  })

  it('dies again when it fails again', async () => {
    const opened = await scene()
    const { consumer, letters } = await die(opened, 'a')
    await opened.transport.dead.replay(letters[0]?.id ?? '')
    await nextTurn()

    await consumer.settle({ outcome: 'dead', delivery: consumer.of('a'), failure })

    expect(await opened.transport.dead.count({ consumer: 'billing' })).toBe(1)
    expect(await row(opened)).toMatchObject({ deliveries: 1, dead: 1, waiting: 0 })
  })

  it('keeps the message when two replays of one letter run at the same time', async () => {
    const opened = await scene()
    const { consumer, letters } = await die(opened, 'a')
    const id = letters[0]?.id ?? ''

    const both = await Promise.all([
      opened.transport.dead.replay(id),
      opened.transport.dead.replay(id),
    ])
    await nextTurn()

    expect(both).toEqual([true, false])
    expect(consumer.ids()).toEqual(['a', 'a'])
  })
})

describe('what was refused before it became a message', () => {
  const refused = {
    ...failure,
    messageId: 'x',
    event: 'order.placed',
    consumer: null,
    group: null,
    attempts: 0,
    firstFailedAt: 1,
    failedAt: Date.UTC(2026, 0, 1),
    address: 'orders',
    body: new Uint8Array([255, 0]),
    headers: { h: '1' },
    contentType: 'application/json',
  }

  it('is kept with its bytes and counted without a consumer', async () => {
    const opened = await scene()

    const id = await opened.transport.dead.put(refused)

    expect(await opened.transport.dead.get(id)).toEqual({ ...refused, id })
    expect(await row(opened, null)).toMatchObject({ published: 0, deliveries: 1, dead: 1 })
  })

  it('is published anew by a replay', async () => {
    const opened = await scene()
    const consumer = await opened.join()
    const id = await opened.transport.dead.put(refused)

    await opened.transport.dead.replay(id)
    await nextTurn()

    expect(consumer.of('x').record).toMatchObject({
      ...recordOf({ id: 'x', body: refused.body, headers: { h: '1' } }),
      contentType: 'application/json',
    })
    expect(await row(opened, null)).toMatchObject({ published: 1, deliveries: 0, dead: 0 })
  })

  it('is kept when a replay would reach nobody', async () => {
    const { transport } = await scene()
    const id = await transport.dead.put({ ...refused, address: 'gone' })

    await expect(transport.dead.replay(id)).rejects.toMatchObject({ code: 'CHANNEL_NOT_FOUND' })

    expect(await transport.dead.count({})).toBe(1)
  })
})
