import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteFile, type SqliteFile } from '../../../store/index.ts'
import { interleave } from './claim.ts'
import { brokerMigrations } from './schema.ts'
import { type ClaimRow, statementTexts } from './statements.ts'

let file: SqliteFile
beforeEach(() => {
  file = openSqliteFile(':memory:', { migrations: [brokerMigrations] })
})
afterEach(() => file.close())

/** How SQLite would run the statement, one line for each step. */
function planOf(name: keyof typeof statementTexts): string[] {
  const rows = file.prepare(`EXPLAIN QUERY PLAN ${statementTexts[name]}`).all()
  return rows.map(({ detail }) => String(detail))
}

describe('the statements of the hot path', () => {
  it.each([
    ['topReady', 'bus_delivery_ready (grp=?)'],
    ['lowestReady', 'bus_delivery_ready (grp=?)'],
    ['oldestReadyOfPriority', 'bus_delivery_ready (grp=? AND priority=?)'],
    ['leaseRange', 'bus_delivery_ready (grp=? AND priority=? AND seq>? AND seq<?)'],
    ['hasReady', 'bus_delivery_ready (grp=?)'],
    ['chainHolder', 'bus_delivery_chain (grp=? AND chain=?)'],
    ['chainHead', 'bus_delivery_chain (grp=? AND chain=?)'],
    ['due', 'bus_delivery_due (grp=? AND ready_at>? AND ready_at<?)'],
    ['nextDue', 'bus_delivery_due (grp=?'],
    ['expired', 'bus_delivery_expiry (expires_at>? AND expires_at<?)'],
    ['nextExpiry', 'bus_delivery_expiry'],
  ] as const)('finds the rows of %s by its index, in its order, without sorting', (name, index) => {
    const plan = planOf(name)

    expect(plan.join('\n')).toContain(index)
    expect(plan.join('\n')).not.toMatch(/TEMP B-TREE/)
  })

  it.each([
    'lease',
    'deleteLeased',
    'retryLeased',
    'releaseLeased',
    'makeReady',
    'readLog',
    'deleteLog',
    'deleteLogUnlessNeeded',
    'readInbox',
    'readDedup',
  ] as const)('finds the rows of %s by primary key', (name) => {
    const plan = planOf(name).join('\n')

    expect(plan).toMatch(/USING (INTEGER )?PRIMARY KEY/)
    expect(plan).not.toMatch(/^SCAN/m)
  })
})

describe('the starvation guard', () => {
  const row = (seq: number, priority: number): ClaimRow => [
    seq,
    priority,
    0,
    0,
    0,
    null,
    null,
    null,
  ]
  const top = Array.from({ length: 20 }, (_, at) => row(100 + at, 3))
  const seqs = (rows: readonly ClaimRow[]) => rows.map(([seq]) => seq)

  it('gives the oldest of all levels each slot whose number sixteen divides', () => {
    const picked = interleave({ top, oldest: [row(1, 0), row(2, 1)], firstSlot: 0 })

    expect(seqs(picked).slice(14, 17)).toEqual([114, 1, 115])
    expect(picked).toHaveLength(20)
  })

  it('goes on counting where the last claim stopped', () => {
    const picked = interleave({ top, oldest: [row(1, 0), row(2, 1)], firstSlot: 15 })

    expect(seqs(picked).slice(0, 2)).toEqual([1, 100])
    expect(seqs(picked)[16]).toBe(2)
  })

  it('never gives a row twice', () => {
    const picked = interleave({ top, oldest: [row(100, 3), row(101, 3)], firstSlot: 15 })

    expect(new Set(seqs(picked)).size).toBe(20)
  })
})
