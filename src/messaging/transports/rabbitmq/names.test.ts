import fc from 'fast-check'
import { expect, it } from 'vitest'
import { namesUnder } from './names.ts'

const text = fc.string({ unit: 'grapheme', minLength: 0, maxLength: 400 })

it('names fit into 255 bytes, whatever is named', () => {
  fc.assert(
    fc.property(text, text, fc.nat(255), (group, address, lane) => {
      const names = namesUnder('p'.repeat(60))
      for (const name of [
        names.exchange(address),
        names.lanes(address),
        names.lane(group, address, lane),
        names.journal(group, address, lane),
        names.dead(group),
        names.key(group),
      ]) {
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
      }
    }),
  )
})

it('names of different things are different', () => {
  fc.assert(
    fc.property(fc.tuple(text, text), fc.tuple(text, text), (one, other) => {
      fc.pre(one.join('\n') !== other.join('\n'))
      const names = namesUnder('')
      expect(names.lane(...one, 1)).not.toBe(names.lane(...other, 1))
      expect(names.lane(...one, 1)).not.toBe(names.journal(...one, 1))
      if (one[1] !== other[1]) expect(names.exchange(one[1])).not.toBe(names.exchange(other[1]))
    }),
  )
})

it('a channel is the exchange of its address, unless the broker or we have that name', () => {
  const names = namesUnder('')
  expect(names.exchange('shop.orders')).toBe('shop.orders')
  for (const taken of ['', 'amq.topic', 'treaty:catalogue']) {
    expect(names.exchange(taken)).toMatch(/^treaty:channel:/)
  }
  expect(namesUnder('p-').exchange('treaty:members')).not.toBe(namesUnder('p-').members)
})
