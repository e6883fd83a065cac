import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  channelSubject,
  channelSubjects,
  foreignLane,
  laneFilter,
  messageSubject,
  placeOf,
  placesOf,
  scheduleSubject,
  streamNameOf,
  textOf,
  tokenOf,
} from './names.ts'

const token = /^[A-Za-z0-9_%-]+$/

describe('names on NATS', () => {
  it('write any text as one token, and read it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(text.isWellFormed())
        expect(tokenOf(text)).toMatch(token)
        expect(textOf(tokenOf(text))).toBe(text)
      }),
    )
    expect(textOf(tokenOf(null))).toBeNull()
    expect(tokenOf('order.placed')).toBe('order%2Eplaced')
  })

  it('never meet: other text is another token', () => {
    const texts = ['', '%', '-', '%-', 'a b', 'a%20b', 'a*', 'a>', 'a.b', null]
    expect(new Set(texts.map(tokenOf)).size).toBe(texts.length)
  })

  it('keep the segments of an address, and no wildcard', () => {
    expect(channelSubject('shop.orders')).toBe('shop.orders')
    expect(channelSubject('shop..or*ders.>')).toBe('shop.%.or%2Aders.%3E')
    expect(channelSubject('$JS.API')).toBe('%24JS.API')
  })

  it('of two channels never overlap, even where one begins with the other', () => {
    const inner = channelSubjects('shop.orders.eu')
    expect(channelSubjects('shop.orders')).toEqual(['shop.orders', 'shop.orders.@.>'])
    expect(inner.some((subject) => subject.startsWith('shop.orders.@'))).toBe(false)
  })

  it('of streams are as people write them, and differ where addresses do', () => {
    expect(streamNameOf('shop.orders')).toBe('shop_orders')
    expect(streamNameOf('shop_orders')).toBe('shop%5Forders')
    const long = 'a'.repeat(400)
    expect(streamNameOf(long)).toHaveLength(180)
    expect(streamNameOf(long)).not.toBe(streamNameOf(`${long}b`))
  })

  it('tell lane, type and group of a message', () => {
    const address = 'shop.orders'
    const at = { lane: '3', type: 'order.placed' }
    expect(placeOf(address, messageSubject(address, at))).toEqual(at)
    const replay = { ...at, group: 'shop.billing' }
    expect(placeOf(address, messageSubject(address, replay))).toEqual(replay)
    expect(placeOf(address, scheduleSubject(address, { ...at, nonce: 'n1' }))).toEqual({
      ...at,
      isScheduled: true,
    })
    expect(placeOf(address, address)).toEqual({ lane: foreignLane })
    expect(laneFilter(address, '3')).toBe('shop.orders.@.3.>')
    expect(laneFilter(address, foreignLane)).toBe(address)
  })

  it('of letters leave open what a filter does not say', () => {
    const places = placesOf('treaty')
    const letter = { group: null, consumer: null, event: 'a.b', reason: 'EXPIRED', id: '1' }
    expect(places.dead(letter)).toBe('treaty.@.d.%-.%-.a%2Eb.EXPIRED.1')
    expect(places.deadFilter({ event: 'a.b' })).toBe('treaty.@.d.*.*.a%2Eb.*.*')
  })
})
