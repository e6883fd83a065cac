import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Served, serve } from './served.ts'

/** The protocol of the Confluent Schema Registry, call by call: what an unchanged client relies on. */

let served: Served
beforeEach(async () => {
  served = await serve()
})
afterEach(() => served.close())

const closed = (type: string, more: object = {}) => ({
  type: 'object',
  properties: { a: { type } },
  required: ['a'],
  additionalProperties: false,
  ...more,
})
const body = (schema: unknown, more: object = {}) => ({
  schemaType: 'JSON',
  schema: typeof schema === 'string' ? schema : JSON.stringify(schema),
  ...more,
})
/** As a client calls: no key, no origin, the media type of the protocol. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
async function call(method: string, path: string, content?: unknown): Promise<[number, any]> {
  const response = await fetch(served.confluent + path, {
    method,
    headers:
      content === undefined ? {} : { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    ...(content === undefined ? {} : { body: JSON.stringify(content) }),
  })
  return [response.status, await response.json()]
}
const register = async (subject: string, schema: unknown, more: object = {}) => {
  const [status, answer] = await call('POST', `/subjects/${subject}/versions`, body(schema, more))
  expect([status, answer]).toMatchObject([200, { id: expect.any(Number) }])
  return answer.id as number
}
const refusal = (code: number) => [
  Number(String(code).slice(0, 3)),
  { error_code: code, message: expect.stringMatching(/./) },
]

describe('schemas', () => {
  test('keep their id, whatever the white space and order of keys, in every subject', async () => {
    const id = await register('one', closed('integer'))

    expect(await register('one', JSON.stringify(closed('integer'), null, 2))).toBe(id)
    expect(
      await register('two', Object.fromEntries(Object.entries(closed('integer')).reverse())),
    ).toBe(id)
    expect(await register('two', closed('number'))).toBe(id + 1)
    expect(await call('GET', `/schemas/ids/${id}/subjects`)).toEqual([200, ['one', 'two']])
    expect(await call('GET', `/schemas/ids/${id}/versions`)).toEqual([
      200,
      [
        { subject: 'one', version: 1 },
        { subject: 'two', version: 1 },
      ],
    ])
    expect(await call('GET', `/schemas/ids/${id}/schema`)).toEqual([200, closed('integer')])
    expect(await call('GET', `/schemas/ids/${id}?fetchMaxId=true`)).toMatchObject([
      200,
      { schemaType: 'JSON', schema: JSON.stringify(closed('integer')), maxId: id + 1 },
    ])
    expect(await call('GET', '/schemas/types')).toEqual([200, ['JSON']])
  })

  test('keep metadata and rules, and are another schema with them', async () => {
    const id = await register('one', closed('integer'))
    const metadata = { properties: { owner: 'ada' } }
    const ruleSet = { domainRules: [{ name: 'r', kind: 'CONDITION', type: 'CEL' }] }

    const other = await register('one', closed('integer'), { metadata, ruleSet, unknown: { x: 1 } })

    expect(other).not.toBe(id)
    expect(await call('GET', '/subjects/one/versions/latest')).toMatchObject([
      200,
      { version: 2, metadata, ruleSet },
    ])
  })

  test('are stored in one form where that is asked for', async () => {
    const [, answer] = await call(
      'POST',
      '/subjects/one/versions?normalize=true',
      body('{"type":"object","a":1 }'),
    )

    expect(answer.schema).toBe('{"a":1,"type":"object"}')
  })

  test.each([
    ['another type', { schema: '"string"' }],
    ['a type that it does not keep', { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' }],
    ['no JSON', body('{"type":')],
    ['JSON that is no schema', body('42')],
    ['a keyword of the wrong kind', body({ type: 'strin' })],
    ['a reference that leads nowhere', body({ $ref: '#/definitions/nope' })],
    [
      'a reference to a subject that is not there',
      body({ $ref: 'x.json' }, { references: [{ name: 'x.json', subject: 'x', version: 1 }] }),
    ],
    ['a schema that is too deep', body(`${'{"not":'.repeat(500)}{}${'}'.repeat(500)}`)],
  ])('are refused: %s', async (_, content) => {
    expect(await call('POST', '/subjects/one/versions', content)).toEqual(refusal(42201))
    expect(await call('GET', '/subjects')).toEqual([200, []])
  })
})

describe('subjects', () => {
  test('are looked up by schema', async () => {
    const id = await register('one', closed('integer'))

    expect(await call('POST', '/subjects/one', body(closed('integer')))).toMatchObject([
      200,
      { subject: 'one', id, version: 1, schemaType: 'JSON' },
    ])
    expect(await call('POST', '/subjects/one', body(closed('null')))).toEqual(refusal(40403))
    expect(await call('POST', '/subjects/nope', body(closed('null')))).toEqual(refusal(40401))
  })

  test.each([
    ['/subjects/nope/versions', 40401],
    ['/subjects/nope/versions/1', 40401],
    ['/subjects/one/versions/2', 40402],
    ['/subjects/one/versions/0', 42202],
    ['/subjects/one/versions/first', 42202],
    ['/subjects/one/versions/99999999999', 42202],
    ['/schemas/ids/4711', 40403],
    ['/schemas/ids/x', 40403],
    ['/schemas/guids/x', 40403],
    ['/schemas/ids/4711/versions', 40403],
    ['/config/one', 40408],
    ['/mode/one', 40409],
    ['/subjects/a%00b/versions', 42208],
  ])('answer GET %s with %i', async (path, code) => {
    await register('one', closed('integer'))

    expect(await call('GET', path)).toEqual(refusal(code))
  })

  test('are deleted softly, found on demand, and come back', async () => {
    const id = await register('one', closed('integer'))
    await register('one', closed('number'))

    expect(await call('DELETE', '/subjects/one?permanent=true')).toEqual(refusal(40405))
    expect(await call('DELETE', '/subjects/one/versions/1?permanent=true')).toEqual(refusal(40407))
    expect(await call('DELETE', '/subjects/one/versions/1')).toEqual([200, 1])
    expect(await call('DELETE', '/subjects/one/versions/1')).toEqual(refusal(40406))
    expect(await call('GET', '/subjects/one/versions/1')).toEqual(refusal(40402))
    expect(await call('GET', '/subjects/one/versions/1?deleted=true')).toMatchObject([
      200,
      { id, deleted: true },
    ])
    expect(await call('GET', '/subjects/one/versions?deletedOnly=true')).toEqual([200, [1]])
    expect(await call('DELETE', '/subjects/one')).toEqual([200, [2]])
    expect(await call('DELETE', '/subjects/one')).toEqual(refusal(40404))
    expect(await call('GET', '/subjects')).toEqual([200, []])
    expect(await call('GET', '/subjects?deleted=true')).toEqual([200, ['one']])
    // Ids outlive their subjects, for messages that carry them are still about.
    expect(await call('GET', `/schemas/ids/${id}`)).toMatchObject([200, {}])
    expect(await register('one', closed('integer'))).toBe(id)
    expect(await call('GET', '/subjects/one/versions')).toEqual([200, [3]])
    expect(await call('DELETE', '/subjects/one/versions/latest')).toEqual([200, 3])
    expect(await call('DELETE', '/subjects/one?permanent=true')).toEqual([200, [1, 2, 3]])
    expect(await call('GET', '/subjects?deleted=true')).toEqual([200, []])
    expect(await register('one', closed('integer'))).toBe(id)
    expect(await call('GET', '/subjects/one/versions')).toEqual([200, [1]])
  })

  test('are listed by prefix and page', async () => {
    for (const name of ['b-1', 'b-2', 'a-1']) await register(name, closed('integer'))

    expect(await call('GET', '/subjects?subjectPrefix=b-')).toEqual([200, ['b-1', 'b-2']])
    expect(await call('GET', '/subjects?offset=1&limit=1')).toEqual([200, ['b-1']])
    const [, schemas] = await call('GET', '/schemas?subjectPrefix=a&latestOnly=true')
    expect(schemas).toMatchObject([{ subject: 'a-1', version: 1, id: 1 }])
  })

  test('know who refers to them, and are kept as long', async () => {
    await register('money', { $id: 'money.json', ...closed('integer') })
    const references = [{ name: 'money.json', subject: 'money', version: 1 }]
    const id = await register(
      'order',
      { properties: { m: { $ref: 'money.json' } } },
      { references },
    )

    expect(await call('GET', '/subjects/money/versions/1/referencedby')).toEqual([200, [id]])
    expect(await call('DELETE', '/subjects/money')).toEqual(refusal(42206))
    await call('DELETE', '/subjects/order')
    expect(await call('DELETE', '/subjects/money')).toEqual([200, [1]])
  })
})

describe('compatibility', () => {
  test.each([
    ['NONE', ['integer', 'boolean'], 200],
    ['BACKWARD', ['integer', 'number'], 200],
    ['BACKWARD', ['number', 'integer'], 409],
    ['FORWARD', ['number', 'integer'], 200],
    ['FORWARD', ['integer', 'number'], 409],
    ['FULL', ['integer', 'number'], 409],
    ['BACKWARD', ['integer', 'number', 'number'], 200],
    ['FULL_TRANSITIVE', ['integer', 'number'], 409],
  ])('%s: %j ends in %i', async (compatibility, types, expected) => {
    await call('PUT', '/config/one', { compatibility })
    let last: unknown
    for (const type of types) {
      ;[last] = await call('POST', '/subjects/one/versions', body(closed(type)))
    }

    expect(last).toBe(expected)
  })

  test('goes by the strict rules, or by the lenient ones where the config says so', async () => {
    const open = { type: 'object', properties: { a: { type: 'string' } } }
    const more = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'integer' } } }
    await register('one', open)

    // An open schema may have met any `b` before: strictly, naming one is a break.
    expect((await call('POST', '/subjects/one/versions', body(more)))[0]).toBe(409)
    await call('PUT', '/config/one', { compatibilityPolicy: 'LENIENT' })
    expect(await call('GET', '/config/one')).toEqual([200, { compatibilityPolicy: 'LENIENT' }])
    expect((await call('POST', '/subjects/one/versions', body(more)))[0]).toBe(200)
  })

  test('looks at the latest version alone, or at all of them', async () => {
    const first = closed('integer')
    const second = closed('integer', { properties: { a: {} } })
    const third = closed('string')
    await call('PUT', '/config/one', { compatibility: 'NONE' })
    for (const schema of [third, first, second]) await register('one', schema)

    await call('PUT', '/config/one', { compatibility: 'FORWARD' })
    expect(await call('POST', '/compatibility/subjects/one/versions', body(first))).toEqual([
      200,
      { is_compatible: true },
    ])
    await call('PUT', '/config/one', { compatibility: 'FORWARD_TRANSITIVE' })
    expect(
      await call('POST', '/compatibility/subjects/one/versions', body(closed('null'))),
    ).toEqual([200, { is_compatible: false }])
  })

  test('is asked without registering, with reasons on demand', async () => {
    await register('one', closed('integer'))
    const ask = (version: string, schema: unknown) =>
      call('POST', `/compatibility/subjects/one/versions/${version}?verbose=true`, body(schema))

    expect(await ask('latest', closed('number'))).toEqual([
      200,
      { is_compatible: true, messages: [] },
    ])
    const [, refused] = await ask('1', closed('boolean'))
    expect(refused.is_compatible).toBe(false)
    expect(refused.messages[0]).toMatch(/./)
    expect(await ask('9', closed('boolean'))).toEqual(refusal(40402))
    expect(await ask('x', closed('boolean'))).toEqual(refusal(42202))
    expect(await ask('latest', { type: 3 })).toEqual(refusal(42201))
    expect(
      await call('POST', '/compatibility/subjects/new/versions/latest', body(closed('null'))),
    ).toEqual([200, { is_compatible: true }])
    expect(
      await call('POST', '/compatibility/subjects/new/versions/1', body(closed('null'))),
    ).toEqual(refusal(40401))
    expect(await call('GET', '/subjects/one/versions')).toEqual([200, [1]])
  })
})

describe('levels and modes', () => {
  test('hold for everything, a context or a subject', async () => {
    expect(await call('GET', '/config')).toMatchObject([200, { compatibilityLevel: 'BACKWARD' }])
    expect(await call('PUT', '/config', { compatibility: 'full' })).toEqual([
      200,
      { compatibility: 'FULL' },
    ])
    expect(await call('GET', '/config/one?defaultToGlobal=true')).toMatchObject([
      200,
      { compatibilityLevel: 'FULL' },
    ])
    await call('PUT', '/config/:.team:', { compatibility: 'NONE' })
    expect(await call('GET', '/config/:.team:one?defaultToGlobal=true')).toMatchObject([
      200,
      { compatibilityLevel: 'NONE' },
    ])
    expect(await call('PUT', '/config/one', { compatibility: 'SIDEWAYS' })).toEqual(refusal(42203))
    const group = { compatibility: 'FORWARD', compatibilityGroup: 'major' }
    expect(await call('PUT', '/config/one', group)).toEqual([200, group])
    expect(await call('DELETE', '/config/one')).toMatchObject([
      200,
      { compatibilityLevel: 'FORWARD' },
    ])
    expect(await call('DELETE', '/config/one')).toEqual(refusal(40401))
    await call('DELETE', '/config')
    expect(await call('GET', '/config')).toMatchObject([200, { compatibilityLevel: 'BACKWARD' }])
  })

  test('READONLY refuses, IMPORT takes ids and versions as they are given', async () => {
    await call('PUT', '/mode/one', { mode: 'READONLY' })
    const content = body(closed('integer'))
    expect(await call('POST', '/subjects/one/versions', content)).toEqual(refusal(42205))
    expect(await call('PUT', '/mode/one', { mode: 'x' })).toEqual(refusal(42204))
    expect(await call('DELETE', '/mode/one')).toEqual([200, { mode: 'READONLY' }])
    expect(await call('GET', '/mode')).toEqual([200, { mode: 'READWRITE' }])

    expect(await call('PUT', '/mode/one', { mode: 'IMPORT' })).toEqual([200, { mode: 'IMPORT' }])
    const given = { ...content, id: 100_500, version: 7 }
    expect(await call('POST', '/subjects/one/versions', given)).toMatchObject([
      200,
      { id: 100_500, version: 7 },
    ])
    const other = { ...body(closed('null')), id: 100_500, version: 8 }
    expect(await call('POST', '/subjects/one/versions', other)).toEqual(refusal(42207))
    await call('DELETE', '/mode/one')
    expect(await call('PUT', '/mode/one', { mode: 'IMPORT' })).toEqual(refusal(42205))
    expect(await register('two', closed('null'))).toBe(100_501)
  })
})

describe('contexts', () => {
  test('have subjects and ids of their own', async () => {
    await register('one', closed('integer'))
    const id = await register(':.team:one', closed('boolean'))

    expect(id).toBe(1)
    expect(await call('GET', '/contexts')).toEqual([200, ['.', '.team']])
    expect(await call('GET', '/subjects')).toEqual([200, [':.team:one', 'one']])
    expect(await call('GET', '/subjects?subjectPrefix=:.team:')).toEqual([200, [':.team:one']])
    expect(await call('GET', '/schemas/ids/1/schema')).toEqual([200, closed('integer')])
    expect(await call('GET', '/schemas/ids/1/schema?subject=:.team:one')).toEqual([
      200,
      closed('boolean'),
    ])
    expect(await call('GET', '/subjects/:.:one/versions')).toEqual([200, [1]])
  })
})

describe('the door', () => {
  test('is open to programs and closed to pages of other origins', async () => {
    const post = (headers: object, content: string = JSON.stringify(body(closed('integer')))) =>
      fetch(`${served.confluent}/subjects/one/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: content,
      })
    const foreign = await post({ origin: 'https://evil.example' })
    const plain = await post({ 'content-type': 'text/plain' })
    const crossSite = await post({ 'sec-fetch-site': 'cross-site' })
    const rebound = await served.call('GET', '/confluent/subjects', undefined, {})

    expect([foreign.status, crossSite.status]).toEqual([403, 403])
    expect(await foreign.json()).toMatchObject({ error_code: 40301 })
    expect([plain.status, await plain.json()]).toMatchObject([415, { error_code: 415 }])
    expect(rebound.body).toEqual([])
    expect((await post({})).status).toBe(200)
  })

  test('answers in the media type of the protocol', async () => {
    const fine = await served.call('GET', '/confluent/subjects')
    const wrong = await served.call('POST', '/confluent/subjects/one/versions', 'not json')
    const empty = await served.call('POST', '/confluent/subjects/one/versions', {})

    for (const { headers } of [fine, wrong, empty]) {
      expect(headers.get('content-type')).toMatch(/^application\/vnd\.schemaregistry\.v1\+json/)
    }
    expect([wrong.status, wrong.body.error_code]).toEqual([400, 400])
    expect([empty.status, empty.body.error_code]).toEqual([422, 422])
  })
})
