import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { targetOf } from './share.ts'

const lanes = Array.from({ length: 12 }, (_, at) => `${at}@orders`)
const members = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 20 })

describe('shares of lanes', () => {
  it('cover each lane once, and differ by one lane at most', () => {
    fc.assert(
      fc.property(members, (ids) => {
        const shares = ids.map((id) => targetOf(lanes, ids, id))
        expect(shares.flatMap((share) => [...share]).sort()).toEqual([...lanes].sort())
        const sizes = shares.map(({ size }) => size)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('do not depend on the order in which members were heard of', () => {
    fc.assert(
      fc.property(members, (ids) => {
        const self = ids[0] as string
        expect(targetOf(lanes, [...ids].sort(), self)).toEqual(
          targetOf(lanes, [...ids].sort().reverse().sort(), self),
        )
      }),
    )
  })

  it('of who is not a member are empty', () => {
    expect(targetOf(lanes, ['a'], 'b').size).toBe(0)
    expect(targetOf(lanes, [], 'b').size).toBe(0)
  })
})
