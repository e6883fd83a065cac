import { describe, expect, it } from 'vitest'
import { readAckSubject } from './pull.ts'
import { nanoseconds } from './reads.ts'

describe('what JetStream says of a message', () => {
  const place = {
    consumer: 'c',
    seq: 7,
    consumerSeq: 3,
    timeNs: 1_700_000_000_123_456_789n,
    pending: 4,
  }

  it('is read with and without domain and account', () => {
    const tail = 'stream.c.1.7.3.1700000000123456789.4'
    expect(readAckSubject(`$JS.ACK.${tail}`)).toEqual(place)
    expect(readAckSubject(`$JS.ACK.hub.abcdef.${tail}.x`)).toEqual(place)
    expect(readAckSubject('_INBOX.abc')).toBeUndefined()
  })

  it('holds times to the nanosecond', () => {
    expect(nanoseconds('2026-11-21T20:53:42.81582636Z') % 1_000_000_000n).toBe(815_826_360n)
    expect(nanoseconds('2026-11-21T20:53:42Z')).toBe(
      BigInt(Date.UTC(2026, 10, 21, 20, 53, 42)) * 1_000_000n,
    )
  })
})
