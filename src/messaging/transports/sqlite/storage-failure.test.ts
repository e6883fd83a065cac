import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../../core/errors.ts'
import { openSqliteFile, type SqliteFile } from '../../../store/index.ts'
import { fakeClock } from '../../../testing/index.ts'
import { type Collector, nextTurn, openScene, recordOf, type Scene } from './scene.ts'

let folder = ''
let path = ''
let clock: ReturnType<typeof fakeClock>
let scene: Scene
let errors: TreatyError[] = []

beforeEach(async () => {
  folder = mkdtempSync(joinPath(tmpdir(), 'treaty-broker-'))
  path = joinPath(folder, 'b.db')
  clock = fakeClock()
  errors = []
  scene = await openScene({ clock, path, busyWaitMs: 300, onError: (error) => errors.push(error) })
})
afterEach(async () => {
  await scene.transport.close({ drainMs: 0 })
  rmSync(folder, { recursive: true, force: true })
})

describe('a file that another process has locked', () => {
  let other: SqliteFile
  beforeEach(() => {
    other = openSqliteFile(path)
    other.db.exec('BEGIN IMMEDIATE')
  })
  afterEach(() => other.close())

  it('is waited for, without anything being lost', async () => {
    const sent = scene.transport.publish([recordOf({ id: 'a' })])
    await clock.advance(100)

    other.db.exec('COMMIT')
    await clock.advance(100)

    expect(await sent).toMatchObject([{ id: 'a' }])
    expect(errors).toEqual([])
  })

  it('gives STORE_BUSY to the caller when the wait is over, and works when it is free again', async () => {
    const sent = scene.transport.publish([recordOf({ id: 'a' }), recordOf({ id: 'b' })])
    await clock.advance(400)

    const results = await sent
    other.db.exec('COMMIT')
    const [again] = await scene.publish({ id: 'c' })

    expect(results.map((result) => 'error' in result && result.error.code)).toEqual([
      'STORE_BUSY',
      'STORE_BUSY',
    ])
    expect(again).toMatchObject({ id: 'c' })
    const consumer = await scene.join()
    expect(consumer.ids()).toEqual(['c'])
  })
})

describe('a volume that is full', () => {
  const large = (id: string) => ({ id, body: new Uint8Array(9000) })
  /** Acknowledges a message with an effect that bounds the file; SQLite takes that for the end of the disk. */
  async function limitPages(consumer: Collector, id: string, extra: number): Promise<void> {
    await consumer.settle({
      outcome: 'ack',
      delivery: consumer.of(id),
      effect(tx) {
        const db = tx as SqliteFile['db']
        const row = db.prepare('PRAGMA page_count').get()
        db.exec(`PRAGMA max_page_count = ${Number(row?.page_count) + extra}`)
      },
    })
  }

  it('refuses publishes with STORE_FULL, keeps leases, and goes on when there is space', async () => {
    const consumer = await scene.join(3)
    await scene.publish({ id: 'limit' }, { id: 'more' }, { id: 'held' })
    await limitPages(consumer, 'limit', 8)

    const results = await Promise.all(
      Array.from({ length: 30 }, (_, at) => scene.publish(large(`l${at}`))),
    )
    const settled = await consumer.ack('held')
    const refused = results.filter(([result]) => result && 'error' in result)
    await limitPages(consumer, 'more', 10_000)
    const [after] = await scene.publish(large('after'))

    expect(refused.length).toBeGreaterThan(0)
    for (const [result] of refused) expect(result).toMatchObject({ error: { code: 'STORE_FULL' } })
    expect(settled).toEqual([{ ok: true }])
    expect(after).toMatchObject({ id: 'after' })
  })

  it('keeps what was promised apart from what was refused', async () => {
    const consumer = await scene.join(1)
    await scene.publish({ id: 'limit' })
    await limitPages(consumer, 'limit', 20)

    const kept: string[] = []
    for (let at = 0; at < 20; at += 1) {
      const [result] = await scene.publish(large(`l${at}`))
      if (result && 'id' in result) kept.push(result.id)
    }
    consumer.subscription.grant(100)
    await nextTurn()

    expect(kept.length).toBeGreaterThan(0)
    expect(kept.length).toBeLessThan(20)
    expect(consumer.ids()).toEqual(['limit', ...kept])
  })
})
