import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EntryState, LaneEntry, LaneWrite } from '../../lanes/driver.ts'
import { createLaneBook } from './lane-book.ts'
import { decodeState, emptyState, encodeState, endedIn, type LaneState } from './lane-state.ts'

const entry = (offset: number, type = 'placed'): LaneEntry => ({
  id: String(offset),
  place: offset,
  record: {
    id: `m${offset}`,
    type,
    address: 'orders',
    position: String(offset),
    publishedAt: 0,
    body: new Uint8Array(0),
    headers: {},
    contentType: 'text/plain',
  },
})
const write = (
  ended: readonly number[],
  kept: readonly (readonly [number, EntryState])[] = [],
): LaneWrite => ({
  lane: 'orders#0',
  ended: ended.map((offset) => ({ entry: entry(offset), as: 'handled' })),
  kept: kept.map(([offset, state]) => ({ entry: entry(offset), state, why: 'retried' })),
  startsThrough: undefined,
  view: () => [],
})
/** As the next owner finds it. */
const handedOver = (state: LaneState) => decodeState(state.low, encodeState(state))

describe('the book of a lane', () => {
  it('commits the first message that has not ended, and what has ended behind it', () => {
    const book = createLaneBook(emptyState(10))
    book.read([10, 11, 12, 13, 14], 15)
    const draft = book.after(write([10, 12, 13]))
    draft.accept()

    expect(draft.state).toMatchObject({ low: 11, runs: [1, 2] })
    const { low } = book.released()
    expect(low).toBe(11)
  })

  it('counts a write that is repeated once', () => {
    const book = createLaneBook(emptyState(0))
    book.read([0, 1], 2)
    book.after(write([0]))
    const again = book.after(write([0, 1]))
    again.accept()

    expect(book.released().tallies.get('placed')).toMatchObject({ handled: 2 })
    expect(book.released().low).toBe(2)
  })

  it('keeps what is known of a message that waits for its retry', () => {
    const book = createLaneBook(emptyState(0))
    book.read([0, 1], 2)
    const state = { failures: 2, handouts: 3, firstFailedAt: 7, dueAt: 99, blocked: true }
    book.after(write([1], [[0, state]])).accept()

    const next = createLaneBook(handedOver(book.released()))
    expect(next.stateOf(0)).toEqual(state)
    expect(next.blocked).toEqual([0])
    expect(next.hasEnded(1)).toBe(true)
  })

  it('takes types that are called like parts of an object for what they are', () => {
    const book = createLaneBook(emptyState(0))
    book.read([0], 1)
    const ended = [{ entry: entry(0, '__proto__'), as: 'handled' as const }]
    book.after({ ...write([]), ended }).accept()

    expect(handedOver(book.released()).tallies.get('__proto__')).toMatchObject({ handled: 1 })
  })

  it('loses and repeats nothing over any number of owners, however far each has read', () => {
    const owner = fc.record({
      reads: fc.nat({ max: 12 }),
      ends: fc.array(fc.nat({ max: 30 }), { maxLength: 12 }),
    })
    fc.assert(
      fc.property(
        fc.array(owner, { maxLength: 8 }),
        fc.uniqueArray(fc.nat({ max: 30 })),
        (owners, gaps) => {
          const done = new Set<number>()
          let state = emptyState(0)
          for (const { reads, ends } of owners) {
            const book = createLaneBook(state)
            const offered: number[] = []
            for (let at = state.low; at < Math.min(31, state.low + reads); at += 1) {
              const isMessage = !gaps.includes(at) && !book.hasEnded(at)
              if (isMessage) expect(done.has(at)).toBe(false)
              if (isMessage) offered.push(at)
            }
            book.read(offered, Math.min(31, state.low + reads))
            const ended = ends.filter((at) => offered.includes(at) && !done.has(at))
            for (const at of new Set(ended)) done.add(at)
            book.after(write([...new Set(ended)])).accept()
            state = handedOver(book.released())
          }
          const hasEnded = endedIn(state)
          for (let at = 0; at < 31; at += 1) {
            if (!gaps.includes(at)) expect(hasEnded(at)).toBe(done.has(at))
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
