import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { Message, Metadata, Wire } from '../message/message.ts'
import type { EnvelopeKind } from '../model.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope.ts'

const kinds: EnvelopeKind[] = [
  'treaty',
  'integration',
  'cloudevents-structured',
  'cloudevents-binary',
  'none',
]

const message: Message = {
  id: '550e8400-e29b-41d4-a716-446655440000',
  type: 'order.placed',
  source: 'order-service',
  timestamp: '2025-03-29T05:43:21.123456789+01:00',
  correlation_id: '5d976e66-8c32-483f-a9d1-8feaade0e1e0',
  data: { orderId: 'ord_1', total: { amount: 19.9 } },
  metadata: {
    schema_version: '2.3.0',
    priority: 'high',
    ttl_seconds: 300,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
}

/** JSON values as they are after one trip through text: without -0 and undefined. */
const anyJson = fc
  .jsonValue({ noUnicodeString: false } as object)
  .map((value) => JSON.parse(JSON.stringify(value)) as Json)
const anyText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
const anyMetadata = fc.oneof(
  fc.dictionary(
    fc.constantFrom(
      'schema_version',
      'causation_id',
      'priority',
      'ttl_seconds',
      'key',
      'traceparent',
      'cloudevents',
      'integration',
      'free form',
      '__proto',
    ),
    fc.oneof(anyJson, anyText, fc.constant('1.0')),
  ),
  fc.dictionary(
    fc.constantFrom('cloudevents', 'integration'),
    fc.dictionary(
      fc.constantFrom('subject', 'shard', 'id', 'payload', 'X y'),
      fc.oneof(anyText, fc.integer(), fc.boolean(), anyJson),
      { minKeys: 1 },
    ),
  ),
)
const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    id: anyText,
    type: anyText,
    source: anyText,
    timestamp: anyText,
    correlation_id: anyText,
    data: anyJson,
    metadata: fc.option(anyMetadata, { nil: undefined }),
  })
  .map(({ metadata, ...rest }) =>
    metadata === undefined ? rest : { ...rest, metadata: metadata as Metadata },
  )

describe('encodeEnvelope and decodeEnvelope', () => {
  it.each(kinds)('%s gives back an equal message, whatever it holds', (kind) => {
    fc.assert(
      fc.property(anyMessage, (one) => {
        const wire = encodeEnvelope(one, kind)
        expect(Object.values(wire.headers).every((value) => /^[ -~]*$/.test(value))).toBe(true)
        expect(decodeEnvelope(wire, kind)).toEqual(one)
      }),
      { numRuns: 300 },
    )
  })
  it.each(kinds)('%s keeps the text of a timestamp, digit by digit', (kind) => {
    expect(decodeEnvelope(encodeEnvelope(message, kind), kind).timestamp).toBe(message.timestamp)
  })
  it.each(kinds)('%s keeps large numbers as they were given', (kind) => {
    const data = { a: 9_007_199_254_740_991, b: 1e308, c: 5e-324, d: 0.1 }
    expect(decodeEnvelope(encodeEnvelope({ ...message, data }, kind), kind).data).toEqual(data)
  })
  it.each(kinds)('%s keeps a lone surrogate in the data', (kind) => {
    const data = { text: '\ud800', pair: '😀' }
    expect(decodeEnvelope(encodeEnvelope({ ...message, data }, kind), kind).data).toEqual(data)
  })
  it('integration writes the five fields of seed 000', () => {
    expect(
      JSON.parse(Buffer.from(encodeEnvelope(message, 'integration').body).toString()),
    ).toMatchObject({
      eventId: message.id,
      eventType: 'order.placed',
      timestamp: message.timestamp,
      version: '2.3.0',
      payload: message.data,
    })
  })
  it('integration reads a message that has nothing but the five fields', () => {
    const body = Buffer.from(
      '{"eventId":"a","eventType":"OrderPlaced","timestamp":"2024-01-01T00:00:00Z","version":"1.0","payload":{}}',
    )
    expect(
      decodeEnvelope({ body, headers: {}, contentType: 'application/json' }, 'integration'),
    ).toEqual({
      id: 'a',
      type: 'OrderPlaced',
      source: 'unknown',
      timestamp: '2024-01-01T00:00:00Z',
      correlation_id: 'a',
      data: {},
    })
  })
})

describe('bytes that are no message', () => {
  const wire = (body: string | Uint8Array): Wire => ({
    body: Buffer.from(body),
    headers: {},
    contentType: 'application/json',
  })
  const cases: [string, Wire, EnvelopeKind][] = [
    ['nothing', wire(''), 'treaty'],
    ['half of JSON', wire('{"id":'), 'treaty'],
    ['an array', wire('[]'), 'treaty'],
    ['null', wire('null'), 'integration'],
    ['invalid UTF-8', wire(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), 'treaty'],
    ['10 000 levels', wire(`${'['.repeat(10_000)}${']'.repeat(10_000)}`), 'none'],
    ['129 levels of objects', wire(`${'{"a":'.repeat(129)}1${'}'.repeat(129)}`), 'treaty'],
    ['no headers', wire('{}'), 'none'],
    ['no attributes', wire('{}'), 'cloudevents-binary'],
    [
      'another version of CloudEvents',
      wire('{"specversion":"0.3","id":"a","source":"b","type":"c"}'),
      'cloudevents-structured',
    ],
    [
      'an id that is a number',
      wire('{"eventId":1,"eventType":"a","timestamp":"b"}'),
      'integration',
    ],
    [
      'data that is base64 of nothing readable',
      wire('{"specversion":"1.0","id":"a","source":"b","type":"c","data_base64":"////"}'),
      'cloudevents-structured',
    ],
  ]
  it.each(cases)('%s: UNDECODABLE', (_name, bytes, kind) => {
    expect(() => decodeEnvelope(bytes, kind)).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE' }),
    )
  })
  it('128 levels are read, and brackets in strings are not counted', () => {
    expect(decodeEnvelope(wire(`${'{"a":'.repeat(128)}1${'}'.repeat(128)}`), 'treaty')).toBeTypeOf(
      'object',
    )
    expect(decodeEnvelope(wire(`{"a":"${'[\\"{'.repeat(500)}"}`), 'treaty')).toBeTypeOf('object')
  })
  it('a field called __proto__ changes nothing but itself', () => {
    const decoded = decodeEnvelope(
      wire('{"__proto__":{"type":"x"},"__proto__":{"polluted":1}}'),
      'treaty',
    )
    expect([
      decoded.type,
      (decoded as unknown as { polluted?: number }).polluted,
      ({} as { polluted?: number }).polluted,
    ]).toEqual([undefined, undefined, undefined])
  })
  it('garbage never causes another error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...kinds), (body, kind) => {
        try {
          decodeEnvelope({ body, headers: {}, contentType: '' }, kind)
        } catch (error) {
          expect(error).toMatchObject({ code: 'UNDECODABLE' })
        }
      }),
    )
  })
})

describe('against the package cloudevents', () => {
  const foreign = new CloudEvent({
    id: 'A234-1234-1234',
    source: '/mycontext/4',
    type: 'com.example.someevent',
    time: '2018-04-05T17:31:00.000Z',
    subject: 'größe/1',
    datacontenttype: 'application/json',
    data: { n: 1, s: 'ü' },
    comexampleextension: 'value',
    partitionkey: 'k1',
  })
  const read = (wire: Wire) =>
    HTTP.toEvent({
      headers: { ...wire.headers, 'content-type': wire.contentType },
      body: Buffer.from(wire.body).toString(),
    }) as CloudEvent<unknown>

  it.each(['cloudevents-structured', 'cloudevents-binary'] as const)(
    'it reads what we write, %s',
    (kind) => {
      const event = read(encodeEnvelope(message, kind))
      expect(event.validate()).toBe(true)
      expect(event).toMatchObject({
        id: message.id,
        type: message.type,
        source: message.source,
        data: message.data,
        specversion: '1.0',
        correlationid: message.correlation_id,
        schemaversion: '2.3.0',
        priority: 'high',
      })
      expect(new Date(event.time as string).toISOString()).toBe('2025-03-29T04:43:21.123Z')
    },
  )
  it.each([
    ['structured', 'cloudevents-structured'],
    ['binary', 'cloudevents-binary'],
  ] as const)('we read what it writes, %s', (mode, kind) => {
    const { headers, body } = HTTP[mode](foreign)
    const wire = {
      body: Buffer.from(body as string),
      headers: headers as Record<string, string>,
      contentType: String(headers['content-type']),
    }
    expect(decodeEnvelope(wire, kind)).toEqual({
      id: 'A234-1234-1234',
      source: '/mycontext/4',
      type: 'com.example.someevent',
      timestamp: '2018-04-05T17:31:00.000Z',
      correlation_id: 'A234-1234-1234',
      data: { n: 1, s: 'ü' },
      metadata: { key: 'k1', cloudevents: { subject: 'größe/1', comexampleextension: 'value' } },
    })
  })
  it.each(['cloudevents-structured', 'cloudevents-binary'] as const)(
    'attributes that are not ours come back as they were, %s',
    (kind) => {
      const { headers, body } = HTTP.structured(foreign)
      const decoded = decodeEnvelope(
        {
          body: Buffer.from(body as string),
          headers: headers as Record<string, string>,
          contentType: '',
        },
        'cloudevents-structured',
      )
      const event = read(encodeEnvelope(decoded, kind))
      // The package does not undo the percent-encoding that the HTTP binding asks for.
      expect(decodeURIComponent(event.subject as string)).toBe('größe/1')
      expect(event).toMatchObject({
        comexampleextension: 'value',
        partitionkey: 'k1',
      })
    },
  )
})
