import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SqliteFile } from '../../../store/index.ts'
import { fakeClock } from '../../../testing/index.ts'
import type { TransactionHandle } from '../../transport.ts'
import { openScene, recordOf, type Scene } from './scene.ts'

let opened: Scene
const database = (tx: TransactionHandle) => tx as SqliteFile['db']
const write = (text: string) => (tx: TransactionHandle) => {
  database(tx).prepare('INSERT INTO invoices VALUES (?)').run(text)
}
/** Reads inside a transaction of its own, as an effect does. */
async function invoices(): Promise<string[]> {
  const consumer = await opened.join(9)
  await opened.publish({ id: 'look', priority: 3 })
  let rows: string[] = []
  await consumer.settle({
    outcome: 'ack',
    delivery: consumer.of('look'),
    effect(tx) {
      const all = database(tx).prepare('SELECT text FROM invoices ORDER BY text').all()
      rows = all.map(({ text }) => String(text))
    },
  })
  await consumer.subscription.stop()
  return rows
}

beforeEach(async () => {
  opened = await openScene({ clock: fakeClock(), groups: [{}, { name: 'shop.audit' }] })
  const consumer = await opened.join()
  await opened.publish({ id: 'make table' })
  await consumer.settle({
    outcome: 'ack',
    delivery: consumer.of('make table'),
    effect: (tx) => database(tx).exec('CREATE TABLE invoices (text TEXT)'),
  })
  await consumer.subscription.stop()
})
afterEach(() => opened.transport.close({ drainMs: 0 }))

describe('the effect of an acknowledgement', () => {
  it('is made together with the acknowledgement, the inbox row and the messages', async () => {
    const consumer = await opened.join(1)
    const audit = await opened.join(10, 'shop.audit')
    await opened.publish({ id: 'a' })

    const results = await consumer.settle({
      outcome: 'ack',
      delivery: consumer.of('a'),
      effect: write('a'),
      inbox: { key: 'a', untilMs: opened.clock.now() + 1000 },
      publish: [recordOf({ id: 'b' }), recordOf({ id: 'c' })],
    })

    expect(results).toEqual([{ ok: true }])
    expect(await opened.transport.inboxSeen?.('shop.billing', ['a'])).toEqual([true])
    expect(audit.ids()).toEqual(['make table', 'a', 'b', 'c'])
    expect(await invoices()).toEqual(['a'])
  })

  it('undoes this settlement alone when it throws, and leaves the delivery with its handler', async () => {
    const consumer = await opened.join(3)
    await opened.publish({ id: 'a' }, { id: 'b' }, { id: 'c' })
    const problem = new Error('no such customer')

    const results = await consumer.settle(
      { outcome: 'ack', delivery: consumer.of('a'), effect: write('a') },
      {
        outcome: 'ack',
        delivery: consumer.of('b'),
        effect(tx) {
          write('b')(tx)
          throw problem
        },
        inbox: { key: 'b', untilMs: opened.clock.now() + 1000 },
        publish: [recordOf({ id: 'never' })],
      },
      { outcome: 'ack', delivery: consumer.of('c'), effect: write('c') },
    )
    const retried = await consumer.settle({
      outcome: 'retry',
      delivery: consumer.of('b'),
      delayMs: 5,
    })

    expect(results).toEqual([
      { ok: true },
      { ok: false, reason: 'error', error: problem },
      { ok: true },
    ])
    expect(retried).toEqual([{ ok: true }])
    expect(await opened.transport.inboxSeen?.('shop.billing', ['b'])).toEqual([false])
    expect(await invoices()).toEqual(['a', 'c'])
  })

  it('does not run for a delivery that is lost', async () => {
    const consumer = await opened.join(1)
    await opened.publish({ id: 'a' })
    await consumer.ack('a')

    const results = await consumer.settle({
      outcome: 'ack',
      delivery: consumer.of('a'),
      effect: write('twice'),
    })

    expect(results).toEqual([{ ok: false, reason: 'lost' }])
    expect(await invoices()).toEqual([])
  })

  it('must be synchronous: what it did before its first await is undone', async () => {
    const consumer = await opened.join(1)
    await opened.publish({ id: 'a' })

    const [result] = await consumer.settle({
      outcome: 'ack',
      delivery: consumer.of('a'),
      effect: (async (tx: TransactionHandle) => write('half')(tx)) as (
        tx: TransactionHandle,
      ) => void,
    })

    expect(result).toMatchObject({ ok: false, reason: 'error', error: { code: 'EFFECT_INVALID' } })
    expect(await invoices()).toEqual([])
  })

  it('must leave the transaction alone: the call is refused, and the broker goes on', async () => {
    const consumer = await opened.join(1)
    await opened.publish({ id: 'a' })

    const settled = consumer.settle({
      outcome: 'ack',
      delivery: consumer.of('a'),
      effect: (tx) => database(tx).exec('ROLLBACK'),
    })

    await expect(settled).rejects.toMatchObject({ code: 'EFFECT_INVALID' })
    expect(await consumer.ack('a')).toEqual([{ ok: true }])
  })

  it('is not made when one of its messages is too large', async () => {
    const consumer = await opened.join(1)
    await opened.publish({ id: 'a' })

    const [result] = await consumer.settle({
      outcome: 'ack',
      delivery: consumer.of('a'),
      effect: write('a'),
      publish: [recordOf({ id: 'b', body: new Uint8Array(10_001) })],
    })

    expect(result).toMatchObject({ ok: false, error: { code: 'MESSAGE_TOO_LARGE' } })
    expect(await invoices()).toEqual([])
  })
})
