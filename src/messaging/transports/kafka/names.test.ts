import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { laneName, parsePosition, placeOf, positionOf, topicOf } from './names.ts'

describe('names on Kafka', () => {
  it('leave addresses that Kafka takes as they are', () => {
    expect(topicOf('shop.orders-1_a')).toBe('shop.orders-1_a')
    expect(topicOf('orders', 'dev.')).toBe('dev.orders')
  })

  it('are valid and differ where addresses differ', () => {
    const address = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(address, address, (one, two) => {
        const isSame = Buffer.from(one).equals(Buffer.from(two))
        return (
          /^[a-zA-Z0-9._-]{1,249}$/.test(topicOf(one)) && (topicOf(one) === topicOf(two)) === isSame
        )
      }),
    )
    expect(topicOf('a/b')).not.toBe(topicOf('a_x2Fb'))
    expect(topicOf('.')).not.toBe('.')
  })

  it('of lanes and positions are read back', () => {
    const place = { topic: 'shop.orders', partition: 11 }
    expect(placeOf(laneName(place))).toEqual(place)
    expect(parsePosition(positionOf(11, 1234))).toEqual({ partition: 11, offset: 1234 })
    expect(parsePosition('somewhere')).toBeUndefined()
    expect(positionOf(0, 9) < positionOf(0, 10)).toBe(true)
  })
})
