import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeClaim, decodeShare, encodeClaim, encodeShare, shareLanes } from './assignment.ts'

const lanes = Array.from({ length: 12 }, (_, at) => `orders#${at}`)

describe('sharing lanes', () => {
  it('gives a member who is alone everything', () => {
    const shares = shareLanes(lanes, [{ id: 'a', lanes: [] }])

    expect(shares.get('a')).toEqual({ lanes, isPending: false })
  })

  it('takes the surplus away first, and hands it out in the next round', () => {
    const first = shareLanes(lanes, [
      { id: 'a', lanes },
      { id: 'b', lanes: [] },
    ])
    expect(first.get('a')).toEqual({ lanes: lanes.slice(0, 6), isPending: true })
    expect(first.get('b')).toEqual({ lanes: [], isPending: true })

    const second = shareLanes(lanes, [
      { id: 'a', lanes: lanes.slice(0, 6) },
      { id: 'b', lanes: [] },
    ])
    expect(second.get('b')).toEqual({ lanes: lanes.slice(6), isPending: false })
  })

  it('never gives a lane two owners, nor one to another while its owner has it, and comes to rest with even shares', () => {
    const members = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 })
    fc.assert(
      fc.property(fc.array(members, { minLength: 1, maxLength: 5 }), (times) => {
        let owned = new Map<string, readonly string[]>()
        for (const ids of times) {
          for (let round = 0; round < 3; round += 1) {
            const claims = ids.map((id) => ({ id, lanes: owned.get(id) ?? [] }))
            const shares = shareLanes(lanes, claims)
            const all = [...shares.values()].flatMap((share) => share.lanes)
            expect(new Set(all).size).toBe(all.length)
            for (const { id, lanes: had } of claims) {
              const others = [...shares].filter(([other]) => other !== id)
              const given = others.flatMap(([, share]) => share.lanes)
              expect(given.some((lane) => had.includes(lane))).toBe(false)
            }
            owned = new Map([...shares].map(([id, share]) => [id, share.lanes]))
          }
          const sizes = [...owned.values()].map((own) => own.length)
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(lanes.length)
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('is told as Kafka tells it, and read back', () => {
    const share = { lanes: ['a.b#0', 'a.b#11', 'c#3'], isPending: true }

    expect(decodeShare(encodeShare(share))).toEqual(share)
    const claim = encodeClaim(['a.b', 'ü'], { lanes: ['a.b#0'], nonce: 'x' })
    expect(decodeClaim('me', claim)).toEqual({ id: 'me', lanes: ['a.b#0'] })
    expect(decodeClaim('stranger', Buffer.from([0, 1]))).toEqual({ id: 'stranger', lanes: [] })
  })
})
