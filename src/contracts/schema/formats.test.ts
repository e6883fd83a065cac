import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatChecks, isDateTime } from './formats.ts'

const table: Record<string, { yes: string[]; no: string[] }> = {
  'date-time': {
    yes: [
      '2025-03-29T05:43:21Z',
      '2025-03-29t05:43:21z',
      '2025-03-29T05:43:21.123456789Z',
      '2024-02-29T23:59:59+14:00',
      '2016-12-31T23:59:60Z',
      '2017-01-01T05:29:60+05:30',
      '1990-12-31T15:59:60-08:00',
      '0000-01-01T00:00:00Z',
    ],
    no: [
      '',
      '2025-03-29',
      '2025-03-29T05:43:21',
      '2025-03-29 05:43:21Z',
      '2025-02-30T00:00:00Z',
      '2025-02-29T00:00:00Z',
      '1900-02-29T00:00:00Z',
      '2025-13-01T00:00:00Z',
      '2025-00-01T00:00:00Z',
      '2025-01-00T00:00:00Z',
      '2025-04-31T00:00:00Z',
      '2025-03-29T24:00:00Z',
      '2025-03-29T05:60:00Z',
      '2025-03-29T05:43:60Z',
      '2016-12-31T23:59:61Z',
      '2016-12-31T23:58:60Z',
      '2025-03-29T05:43:21.Z',
      '2025-03-29T05:43:21.1234567890Z',
      '2025-03-29T05:43:21+0100',
      '2025-03-29T05:43:21+24:00',
      '2025-03-29T05:43:21+01:60',
      '2025-3-29T05:43:21Z',
      '+2025-03-29T05:43:21Z',
      '2025-W13-6T05:43:21Z',
      '2025-03-29T05:43:21Z ',
      '２025-03-29T05:43:21Z',
    ],
  },
  date: {
    yes: ['2024-02-29', '2025-12-31'],
    no: ['2025-02-29', '2025-1-1', '2025-01-01Z', '20250101', ''],
  },
  time: {
    yes: ['05:43:21Z', '05:43:21.5+01:00', '23:59:60Z'],
    no: ['05:43:21', '24:00:00Z', '5:43:21Z', '12:00:60Z'],
  },
  duration: {
    yes: ['P1D', 'PT5S', 'P4W', 'P1Y2M3DT4H5M6S'],
    no: ['P', 'PT', '5s', 'P1S', 'P1D2H'],
  },
  uuid: {
    yes: [
      '550e8400-e29b-41d4-a716-446655440000',
      '550E8400-E29B-01D4-2716-446655440000',
      '00000000-0000-0000-0000-000000000000',
    ],
    no: [
      '550e8400e29b41d4a716446655440000',
      '{550e8400-e29b-41d4-a716-446655440000}',
      'urn:uuid:550e8400-e29b-41d4-a716-446655440000',
      'b9a8c7d6-e5f4-4g3h-2i1j-0k9l8m7n6o5p',
      ' 550e8400-e29b-41d4-a716-446655440000',
    ],
  },
  email: {
    yes: ['a@example.com', 'a.b+c@mail.example.org'],
    no: ['a', 'a@', '@example.com', 'a b@example.com', 'a..b@example.com'],
  },
  hostname: { yes: ['example.com', 'a-b.c'], no: ['-a.com', 'a_b.com', 'a..b', 'x'.repeat(64)] },
  ipv4: {
    yes: ['127.0.0.1', '255.255.255.255'],
    no: ['256.0.0.1', '1.2.3', '1.2.3.4.5', '0x7f.0.0.1'],
  },
  ipv6: {
    yes: ['::1', '2001:db8::8a2e:370:7334', '::ffff:192.0.2.1'],
    no: ['12345::', '1::2::3', ':::', '127.0.0.1'],
  },
  uri: {
    yes: ['https://example.com/a?b#c', 's3://bucket/key', 'urn:a:b'],
    no: ['/a/b', 'results bucket', '//example.com', 'http://a b'],
  },
  'uri-reference': {
    yes: ['/a/b', 'a', '', 'https://example.com', '#x'],
    no: ['\\\\share', 'a b', '%zz'],
  },
  'json-pointer': { yes: ['', '/a', '/a~1b/0', '/'], no: ['a', '/~', '/~2'] },
  'relative-json-pointer': { yes: ['0', '1/a', '2#'], no: ['/a', '-1', '01'] },
  'uri-template': { yes: ['/a/{id}', 'x'], no: ['/a/{id', '{'] },
  regex: { yes: ['^a+$', '\\p{L}'], no: ['(', 'a**', '[b-a]'] },
}

describe('formats', () => {
  it.each(Object.keys(formatChecks))('%s: what is one and what is none', (name) => {
    const check = formatChecks[name] as (text: string) => boolean
    for (const text of table[name]?.yes ?? []) expect([text, check(text)]).toEqual([text, true])
    for (const text of table[name]?.no ?? []) expect([text, check(text)]).toEqual([text, false])
    expect(table[name]).toBeDefined()
  })
  it('every instant that JavaScript writes is a date-time', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
        (date) => isDateTime(date.toISOString()),
      ),
    )
  })
  it('days that a calendar does not have are none, and the others are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9999 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 31 }),
        (year, month, day) => {
          const text = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
          const date = new Date(`${text}T00:00:00Z`)
          const exists = !Number.isNaN(date.getTime()) && date.getUTCDate() === day
          expect(formatChecks.date?.(text)).toBe(exists)
        },
      ),
    )
  })
  it('no text makes a check throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) =>
        Object.values(formatChecks).every((check) => typeof check(text) === 'boolean'),
      ),
    )
  })
})
