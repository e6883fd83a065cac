import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EntryState, LaneEntry, LaneWrite } from '../../lanes/driver.ts'
import { openBook } from './lane-book.ts'
import {
  countedType,
  fromDocument,
  type LaneState,
  newLane,
  otherTypes,
  toDocument,
} from './lane-state.ts'

const fresh: EntryState = { failures: 0, handouts: 0 }

function entryOf(seq: number, type = 'a', kind: 'normal' | 'replay' | 'foreign' = 'normal') {
  return { id: String(seq), tag: { seq, type, kind } } as unknown as LaneEntry
}
const tag = (seq: number, type = 'a') => ({ seq, type, kind: 'normal' as const })

function writeOf(part: Partial<LaneWrite> & { rest?: ReturnType<LaneWrite['view']> }): LaneWrite {
  const { rest = [], ...more } = part
  return { lane: 'l', ended: [], kept: [], startsThrough: undefined, view: () => rest, ...more }
}

describe('the state of a lane', () => {
  it('comes back from its document as it was', () => {
    const seqs = fc.uniqueArray(fc.integer({ min: 11, max: 5000 }), { maxLength: 60 })
    const kind = fc.constantFrom('normal' as const, 'replay' as const, 'foreign' as const)
    fc.assert(
      fc.property(seqs, fc.array(kind, { minLength: 60, maxLength: 60 }), (numbers, kinds) => {
        const all = numbers.map((seq, at) => ({
          seq,
          type: `t${seq % 3}`,
          kind: kinds[at] ?? 'normal',
        }))
        const state: LaneState = {
          ...newLane(10, { a: 3 }),
          owner: 'me',
          epoch: 2,
          startsThrough: 99,
          counts: { a: { handled: 1, skipped: 2, retried: 3, dead: 4, expired: 5 } },
          replays: { b: 1 },
          done: all.filter((_, at) => at % 2 === 0),
          kept: all
            .filter((_, at) => at % 2 === 1)
            .map((each) => ({
              ...each,
              state: {
                failures: 1,
                handouts: 2,
                firstFailedAt: 5,
                dueAt: 7,
                marked: true,
                blocked: true,
              },
            })),
        }
        const back = fromDocument(JSON.parse(JSON.stringify(toDocument(state))))
        const byNumber = (one: { seq: number }, two: { seq: number }) => one.seq - two.seq
        expect({ ...back, done: back.done.toSorted(byNumber) }).toEqual({
          ...state,
          done: state.done.toSorted(byNumber),
        })
      }),
    )
  })

  it('counts types beyond a bound as one', () => {
    const counts = new Map(Array.from({ length: 300 }, (_, at) => [`t${at}`, 1]))
    expect(countedType(counts, 't7')).toBe('t7')
    expect(countedType(counts, 'new')).toBe(otherTypes)
  })
})

describe('the book of a lane', () => {
  it('moves the low mark to the first message that has not ended, and counts what it passed', () => {
    const book = openBook(newLane(10, { a: 5 }))
    for (const seq of [12, 15, 17, 20]) book.note(tag(seq))
    const first = writeOf({
      ended: [
        { entry: entryOf(12), as: 'handled' },
        { entry: entryOf(17), as: 'skipped' },
      ],
      rest: [
        { entry: entryOf(15), isEnded: false, state: { ...fresh, failures: 1 } },
        { entry: entryOf(17), isEnded: true, state: fresh },
        { entry: entryOf(20), isEnded: false, state: fresh },
      ],
      startsThrough: 500,
    })
    const state = book.compose(first)
    expect(state).toMatchObject({ low: 14, startsThrough: 500, passed: { a: 6 } })
    expect(state.done.map(({ seq }) => seq)).toEqual([17])
    expect(state.kept.map(({ seq }) => seq)).toEqual([15])
    expect(state.counts.a).toMatchObject({ handled: 1, skipped: 1 })

    book.take(state)
    const last = book.compose(writeOf({ ended: [{ entry: entryOf(15), as: 'dead' }] }))
    expect(last).toMatchObject({ low: 20, passed: { a: 9 }, done: [], kept: [] })
    expect(last.counts.a).toEqual({ handled: 1, skipped: 1, retried: 0, dead: 1, expired: 0 })
  })

  it('says the same again when a write is repeated, because nothing is taken yet', () => {
    const book = openBook(newLane(0, {}))
    book.note(tag(1))
    const write = writeOf({ ended: [{ entry: entryOf(1), as: 'handled' }] })
    expect(book.compose(write)).toEqual(book.compose(write))
  })

  it('keeps what a former owner left, until it is read', () => {
    const left: LaneState = {
      ...newLane(10, {}),
      done: [{ seq: 12, type: 'a', kind: 'normal' }],
      kept: [{ seq: 14, type: 'a', kind: 'normal', state: { ...fresh, failures: 2 } }],
    }
    const book = openBook(left)
    expect(book.note(tag(11))).toBe(false)
    const early = book.compose(writeOf({ ended: [{ entry: entryOf(11), as: 'handled' }] }))
    expect(early).toMatchObject({ low: 11, done: left.done, kept: left.kept })
    book.take(early)

    expect(book.note(tag(12))).toBe(true)
    expect(book.note(tag(14))).toBe(false)
    expect(book.left(14)).toMatchObject({ failures: 2 })
    const later = book.compose(
      writeOf({ rest: [{ entry: entryOf(14), isEnded: false, state: { ...fresh, failures: 2 } }] }),
    )
    expect(later).toMatchObject({ low: 13, done: [], passed: { a: 2 } })
  })

  it('counts a replay for this group apart, one for another not at all', () => {
    const book = openBook(newLane(0, {}))
    book.note({ seq: 1, type: 'a', kind: 'replay' })
    book.note({ seq: 2, type: 'a', kind: 'foreign' })
    const state = book.compose(
      writeOf({
        ended: [
          { entry: entryOf(1, 'a', 'replay'), as: 'handled' },
          { entry: entryOf(2, 'a', 'foreign'), as: 'foreign' },
        ],
      }),
    )
    expect(state).toMatchObject({ low: 2, passed: {}, replays: { a: 1 } })
    expect(state.counts.a?.handled).toBe(1)
  })
})
