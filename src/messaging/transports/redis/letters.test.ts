import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DeadLetter } from '../../transport.ts'
import { letterIdOf, placeOfLetter, rowOf, scoreOf, summaryOf } from './letters.ts'

const letter: DeadLetter = {
  id: 'l1',
  messageId: 'm1',
  event: 'placed',
  consumer: 'billing',
  group: 'shop.billing',
  reason: 'HANDLER_FAILED',
  message: 'half a character: \ud800',
  stack: 'Error\n at x',
  attempts: 3,
  firstFailedAt: 1,
  failedAt: 1_700_000_000_000,
  address: 'orders',
  body: new Uint8Array(),
  headers: {},
  contentType: 'application/json',
}

describe('the id of a dead letter', () => {
  it('says where its message was, whatever the names are', () => {
    const text = fc.string().filter((each) => each.isWellFormed() && each !== '-')
    fc.assert(
      fc.property(text, text, fc.nat(600), fc.nat(), (address, group, lane, number) => {
        const place = { address, group, lane, entry: `${number}-0` }
        const id = letterIdOf(place)
        if (group === '') expect(placeOfLetter(id)).toMatchObject({ address, group: '' })
        else expect(placeOfLetter(id)).toEqual(place)
      }),
    )
  })

  it('that was never given out is known as such', () => {
    for (const id of ['', 'x', 'a/b', 'a/b/c/d', '%E0%A4%A/b/c'])
      expect(placeOfLetter(id)).toBeUndefined()
  })
})

describe('the row of a dead letter', () => {
  it('gives back its summary, without what a list does not show', () => {
    const row = rowOf(letter, { lane: 1, entry: '5-0', counted: 'dead', retentionMs: 1000 })
    const summary = summaryOf(Buffer.from(`${row.score}\n${row.combo}\n${row.summary}`))
    const { body: _, headers: __, stack: ___, message: ____, ...rest } = letter
    expect(summary).toEqual({ ...rest, message: 'half a character: \ufffd' })
    expect(row.until).toBe(letter.failedAt + 1000)
  })

  it('of one millisecond keeps the order in which they died', () => {
    const scores = Array.from({ length: 5 }, () => {
      const { score } = rowOf(letter, { entry: '1-0', counted: 'dead', retentionMs: 1 })
      return Number(score)
    })
    expect(new Set(scores).size).toBe(5)
    expect(scores.every((score) => score >= Number(scoreOf(letter.failedAt, 0)))).toBe(true)
    expect(scores.every((score) => score <= Number(scoreOf(letter.failedAt, 4095)))).toBe(true)
    expect(Number(scoreOf(letter.failedAt, 4095))).toBeLessThan(Number.MAX_SAFE_INTEGER)
  })
})
