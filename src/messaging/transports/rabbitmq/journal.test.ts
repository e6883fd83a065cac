import { describe, expect, it } from 'vitest'
import { count, foundIn, type JournalRecord, noCounts } from './journal.ts'

const state = { failures: 1, handouts: 1 }
const lane = (n: number, over: Partial<Extract<JournalRecord, { kind: 'lane' }>> = {}) =>
  ({ kind: 'lane', n, counts: {}, ended: [], isClean: false, replays: [], ...over }) as const
const found = (...records: readonly JournalRecord[]) =>
  foundIn(records.map((record, tag) => ({ record, tag })))

describe('what a new owner finds in the journal', () => {
  it('is nothing in a lane that nobody has owned', () => {
    expect(found()).toMatchObject({ n: 0, isClean: true, isUsed: false })
  })

  it('is the highest number of each message, in whatever order the records come back', () => {
    const { states, replaced, n } = found(
      { kind: 'entry', n: 5, id: 'a', state: { ...state, failures: 2 } },
      { kind: 'entry', n: 3, id: 'a', state },
      { kind: 'entry', n: 4, id: 'b', state },
    )
    expect(states.get('a')).toMatchObject({ n: 5, tag: 0, state: { failures: 2 } })
    expect(states.get('b')).toMatchObject({ n: 4, tag: 2 })
    expect(replaced).toEqual([1])
    expect(n).toBe(5)
  })

  it('is the newest count, and every message that any record names as ended', () => {
    const { counts, ended, isClean, laneTags } = found(
      lane(2, { counts: { t: { handled: 9 } }, ended: ['c'] }),
      lane(1, { counts: { t: { handled: 8 } }, ended: ['a', 'b'], isClean: true }),
    )
    expect(counts).toEqual({ t: { handled: 9 } })
    expect([...ended].sort()).toEqual(['a', 'b', 'c'])
    expect(isClean).toBe(false)
    expect(laneTags).toEqual([0, 1])
  })

  it('is what others want of messages that hold their key', () => {
    const order = { kind: 'order', entry: 'a', how: 'replay' } as const
    expect(found(order).orders).toEqual([{ order, tag: 0 }])
  })
})

it('types that others make up are counted together beyond a bound', () => {
  const counts = noCounts()
  for (let type = 0; type < 3000; type += 1) count(counts, `t${type}`, 'dead', 1)
  expect(Object.keys(counts).length).toBeLessThanOrEqual(1001)
  expect(counts['']).toEqual({ dead: 2000 })
})
