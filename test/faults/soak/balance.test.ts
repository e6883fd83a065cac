import { describe, expect, it } from 'vitest'
import type { LeftLetter } from './balance.ts'
import { balanceOf } from './balance.ts'
import type { Entry } from './journal.ts'

type Sent = Extract<Entry, { kind: 'sending' }>

const sending = (id: string, sequence: number, more: Partial<Sent> = {}): Sent => ({
  kind: 'sending',
  id,
  event: 'parcel.moved',
  key: 'k',
  sequence,
  fate: 'pass',
  ...more,
})
const taken = (id: string): Entry => ({ kind: 'taken', id })
let now = 0
const handled = (id: string, ...consumers: string[]): Entry[] => {
  now += 1
  return consumers.map((consumer) => ({ kind: 'handled', id, consumer, begun: now }))
}
const both = ['plain', 'strict']

const balance = (entries: readonly Entry[], letters: readonly LeftLetter[] = []) =>
  balanceOf(entries, letters)

describe('the books of a soak', () => {
  it('balance where each consumer has handled what was acknowledged', () => {
    const entries = [sending('a', 0), taken('a'), ...handled('a', ...both)]
    expect(balance(entries)).toMatchObject({
      acknowledged: 1,
      owed: 2,
      handled: 2,
      repeated: 0,
      lost: [],
      overtaken: [],
    })
  })

  it('name a message that one of its consumers never got', () => {
    const entries = [sending('a', 0), taken('a'), ...handled('a', 'plain')]
    expect(balance(entries)).toMatchObject({ owed: 2, handled: 1, lost: ['strict a'] })
  })

  it('count what was handled more than once', () => {
    const entries = [sending('a', 0), taken('a'), ...handled('a', 'plain', 'plain', ...both)]
    expect(balance(entries)).toMatchObject({ handled: 2, repeated: 2, lost: [] })
  })

  it('name a message that a later one of its key has overtaken', () => {
    const entries = [sending('a', 0), taken('a'), sending('b', 1), taken('b')]
    const ended = [...handled('b', ...both), ...handled('a', ...both)]
    expect(balance([...entries, ...ended]).overtaken).toEqual(['plain a', 'strict a'])
  })

  it('call it no overtaking when an earlier message comes once more', () => {
    const entries = [sending('a', 0), taken('a'), sending('b', 1), taken('b')]
    const ended = [...handled('a', ...both), ...handled('b', ...both), ...handled('a', ...both)]
    expect(balance([...entries, ...ended]).overtaken).toEqual([])
  })

  it('call it no overtaking when a frozen handler that began in its turn ends after others', () => {
    const entries = [sending('a', 0, { ttlMs: 50 }), taken('a'), sending('b', 1), taken('b')]
    const frozen = handled('a', ...both)
    expect(balance([...entries, ...handled('b', ...both), ...frozen]).overtaken).toEqual([])
  })

  it('keep the place of a replayed message only where its death blocked the key', () => {
    const entries: Entry[] = [
      sending('a', 0, { fate: 'die' }),
      taken('a'),
      sending('b', 1),
      taken('b'),
      ...handled('b', ...both),
      ...both.map((consumer) => ({ kind: 'replaying', id: 'a', consumer }) as const),
      ...handled('a', ...both),
    ]
    expect(balance(entries).overtaken).toEqual(['strict a'])
  })

  it('owe nothing for a publish of unknown outcome that never arrived', () => {
    const entries: Entry[] = [sending('a', 0), { kind: 'unknown', id: 'a', code: 'X' }]
    expect(balance(entries)).toMatchObject({ unknown: 1, unknownArrived: 0, owed: 0, lost: [] })
  })

  it('owe it to all consumers once it arrived at one of them', () => {
    const entries = [sending('a', 0), ...handled('a', 'plain')]
    expect(balance(entries)).toMatchObject({ unknownArrived: 1, owed: 2, lost: ['strict a'] })
  })

  it('count as dead what is left or was thrown away, and as expired what had a time to live', () => {
    const entries: Entry[] = [
      sending('a', 0, { fate: 'die' }),
      taken('a'),
      { kind: 'discarding', id: 'a', consumer: 'strict' },
      sending('b', 1, { ttlMs: 50 }),
      taken('b'),
    ]
    const letters = [
      { consumer: 'plain', id: 'a', reason: 'HANDLER_FAILED' },
      { consumer: 'plain', id: 'b', reason: 'EXPIRED' },
    ]
    expect(balance(entries, letters)).toMatchObject({
      dead: 2,
      expired: 2,
      lost: [],
      surprises: {},
    })
  })

  it('are surprised by the death of a message that was to pass', () => {
    const entries = [sending('a', 0), taken('a'), ...handled('a', 'strict')]
    const letters = [{ consumer: 'plain', id: 'a', reason: 'HANDLER_FAILED' }]
    expect(balance(entries, letters)).toMatchObject({ dead: 1, surprises: { HANDLER_FAILED: 1 } })
  })
})
