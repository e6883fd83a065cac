import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sampleSource } from './sample-contract.ts'
import { type Served, serve } from './served.ts'

/** The description of the API, against the API. */

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required?: boolean
  readonly schema: object
}
interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> }
  readonly responses: Record<string, { readonly content?: Record<string, { schema: object }> }>
}
interface Call extends Operation {
  readonly method: string
  readonly path: string
}

let served: Served
// biome-ignore lint/suspicious/noExplicitAny: the document is looked into at many places
let document: any
let calls: readonly Call[]

beforeAll(async () => {
  served = await serve()
  document = (await served.call('GET', '/openapi.json')).body
  calls = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method, path })),
  )
})
afterAll(() => served.close())

function compiler(): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
  ;(addFormats as unknown as (ajv: Ajv2020) => void)(ajv)
  ajv.addSchema({ $id: 'https://api.invalid/', $defs: grounded(document.components.schemas) })
  return ajv
}

/** The schema with its references led into the document. */
function grounded(schema: object): object {
  return JSON.parse(
    JSON.stringify(schema).replaceAll('"#/components/schemas/', '"https://api.invalid/#/$defs/'),
  ) as object
}

describe('the OpenAPI document', () => {
  test('is OpenAPI 3.1 with what that requires', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/)
    expect(document.info).toMatchObject({ title: 'Treaty', version: expect.any(String) })
    expect(Object.keys(document).sort()).toEqual([
      'components',
      'info',
      'openapi',
      'paths',
      'servers',
    ])
    for (const { operationId, summary, responses, method, path } of calls) {
      expect([path, summary]).toEqual([expect.stringMatching(/^\//), expect.stringMatching(/./)])
      expect(['get', 'post', 'put', 'delete']).toContain(method)
      expect(operationId).toMatch(/^[\w-]+$/)
      expect(Object.keys(responses).every((status) => /^(?:default|\d{3})$/.test(status))).toBe(
        true,
      )
      expect(Object.keys(responses)).toContain('default')
    }
    expect(new Set(calls.map(({ operationId }) => operationId)).size).toBe(calls.length)
  })

  test('has every route of the server', async () => {
    await served.server.app.ready()
    const routes = served.server.app
      .printRoutes({ commonPrefix: false })
      .split('\n')
      .flatMap((line) => /── (\/?\S*) \(([^)]+)\)/.exec(line)?.[2]?.split(', ') ?? [])
      .filter((method) => method !== 'HEAD')

    expect(calls.length).toBe(routes.length)
    expect(calls.length).toBeGreaterThan(50)
  })

  test('declares each parameter of each path, once', () => {
    for (const { path, parameters } of calls) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = parameters.filter((one) => one.in === 'path')
      expect(declared.map(({ name }) => name)).toEqual(inPath)
      expect(declared.every(({ required }) => required === true)).toBe(true)
      const names = parameters.map((one) => `${one.in} ${one.name}`)
      expect(new Set(names).size).toBe(names.length)
    }
  })

  test('has schemas that compile as JSON Schema 2020-12', () => {
    const ajv = compiler()
    const schemas = calls.flatMap(({ parameters, requestBody, responses }) => [
      ...parameters.map(({ schema }) => schema),
      ...Object.values(requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(responses).flatMap(({ content = {} }) =>
        Object.values(content).map(({ schema }) => schema),
      ),
    ])

    for (const schema of schemas) {
      expect(() => ajv.compile(grounded(schema)), JSON.stringify(schema)).not.toThrow()
    }
  })
})

const schemaText = JSON.stringify({ type: 'object', properties: { a: { type: 'integer' } } })
/** Bodies that are right, from which wrong ones are made. */
const rightBodies: readonly object[] = [
  sampleSource('2.1.0'),
  { contract: 'shop.orders', consumer: 'c', version: '1', entry: { accepts: '*', events: {} } },
  { service: 's', version: '1', environment: 'prod', contracts: { 'shop.orders': '2.1.0' } },
  { name: 'prod', production: true },
  { consumer: 'billing', digest: 'sha256:0', by: 'ada', at: '2026-11-20' },
  { schemaType: 'JSON', schema: schemaText, references: [{ name: 'x', subject: 'y', version: 1 }] },
  { schemaType: 'JSON', schema: schemaText, id: 1, version: 1, metadata: {}, ruleSet: null },
  { compatibility: 'FULL', normalize: true },
  { mode: 'IMPORT' },
]

const nasty = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  '..',
  '%',
  '\u0000',
  ' ',
  ':.ctx:',
  ':*:',
  'latest',
  '-1',
  '0',
  '1e9',
  '99999999999999999999',
  'x'.repeat(600),
  'shop.orders',
  '2.1.0',
  'sha256:x',
)
const word = fc.oneof(nasty, fc.string({ unit: 'grapheme' }))
const anything = fc.oneof(
  fc.jsonValue(),
  word,
  fc.constantFrom(null, -0, 1e308, [], {}, [[]], '{"type":"strin"}', '{"$ref":"#/nope"}', 'true'),
)

/** What is wrong with a body: where, and what stands there instead. */
const mistake = fc.record({ at: fc.nat(), value: anything, isDeleted: fc.boolean() })
type Mistake = { readonly at: number; readonly value: unknown; readonly isDeleted: boolean }

/** A right body of the call with mistakes in it; anything at all where `whole` is said. */
function bodyFor(
  { requestBody }: Call,
  { which, mistakes, whole }: { which: number; mistakes: readonly Mistake[]; whole: unknown },
): unknown {
  const [content] = Object.values(requestBody?.content ?? {})
  const required = (content?.schema as { required?: string[] } | undefined)?.required ?? []
  const fitting = rightBodies.filter((body) => required.every((key) => Object.hasOwn(body, key)))
  if (whole !== undefined || fitting.length === 0) return whole
  const copy = structuredClone(fitting[which % fitting.length]) as Record<string, unknown>
  for (const { at, value, isDeleted } of mistakes) {
    const places = placesIn(copy)
    const place = places[at % places.length]
    if (place && isDeleted) delete place.holder[place.key]
    else if (place) place.holder[place.key] = value
  }
  return copy
}

function placesIn(value: unknown): { holder: Record<string, unknown>; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => [
    { holder: value as Record<string, unknown>, key },
    ...placesIn(item),
  ])
}

describe('bad calls', () => {
  test('never end in a failure of the server, and always in an answer that says what is wrong', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    await served.call('POST', '/confluent/subjects/s/versions', rightBodies[5])
    const one = fc.record({
      at: fc.nat(),
      path: fc.array(word, { minLength: 4, maxLength: 4 }),
      query: fc.dictionary(fc.constantFrom('limit', 'cursor', 'id', 'x'), word, { maxKeys: 3 }),
      known: fc.array(fc.tuple(fc.nat(), word), { maxLength: 3 }),
      which: fc.nat(),
      mistakes: fc.array(mistake, { maxLength: 2 }),
      whole: fc.option(anything, { freq: 1, nil: undefined }),
    })

    await fc.assert(
      fc.asyncProperty(one, async ({ at, path, query, known, ...wrong }) => {
        const target = calls[at % calls.length] as Call
        const url = urlOf(target, path, { query, known })
        const body = bodyFor(target, wrong)
        const hasBody = target.requestBody !== undefined
        const response = await served.server.app.inject({
          method: target.method as 'GET',
          url,
          headers: {
            host: '127.0.0.1',
            origin: 'http://127.0.0.1',
            ...(hasBody ? { 'content-type': 'application/json' } : {}),
          },
          ...(hasBody ? { payload: JSON.stringify(body) ?? 'null' } : {}),
        })
        const isNotReady = response.statusCode === 503 && /bus/.test(response.body)
        expect(
          response.statusCode < 500 || isNotReady,
          `${target.method} ${url}\n${response.body}`,
        ).toBe(true)
        if (response.statusCode < 400) return
        const answer = response.json<Record<string, unknown>>()
        const isExplained = typeof answer.code === 'string' || typeof answer.error_code === 'number'
        expect(isExplained || target.path === '/health').toBe(true)
      }),
      { numRuns: 1500 },
    )
  })
})

test('bodies that nest without end are refused, not walked', async () => {
  const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
  const schema = JSON.stringify({ type: 'object' })

  const metadata = `{"schemaType":"JSON","schema":${JSON.stringify(schema)},"metadata":${deep}}`
  for (const [path, body] of [
    ['/api/contracts', `{"id":"a","version":"1.0.0","x":${deep}}`],
    ['/api/consumers', `{"contract":"a","consumer":"b","version":"c","entry":${deep}}`],
    ['/confluent/subjects/one/versions', metadata],
  ] as const) {
    expect((await served.call('POST', path, body)).status).toBe(400)
  }
})

function urlOf(
  { path, parameters }: Call,
  words: readonly string[],
  {
    query,
    known,
  }: { query: Record<string, string>; known: readonly (readonly [number, string])[] },
): string {
  let used = 0
  const filled = path.replaceAll(/\{\w+\}/g, () => {
    used += 1
    return encodeURIComponent(words[used % words.length] as string) || 'x'
  })
  const names = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
  const asked =
    names.length === 0
      ? []
      : known.map(([at, value]) => [names[at % names.length] as string, value])
  const search = new URLSearchParams([...Object.entries(query), ...asked] as [string, string][])
  return search.size === 0 ? filled : `${filled}?${search}`
}
