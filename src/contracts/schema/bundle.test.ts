import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { createBundler } from './bundle.ts'
import type { SchemaProblem } from './schema-check.ts'
import { createSchemaStore, isRefusal, splitReference } from './schema-store.ts'
import { compileSchema } from './validator.ts'

const root = mkdtempSync(join(tmpdir(), 'treaty-bundle-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0

/** Writes files into a folder of their own and bundles one of them. */
function bundle(files: Readonly<Record<string, Json | string>>, reference = './main.json') {
  folders += 1
  const directory = join(root, String(folders))
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
  }
  const problems: SchemaProblem[] = []
  const store = createSchemaStore()
  const { file, pointer } = splitReference(reference)
  const document = store.open(file, { directory, jail: directory })
  if (isRefusal(document)) return { refusal: document, problems, findings: store.findings }
  const bundler = createBundler(store, (problem) => problems.push(problem))
  const bundled = bundler.bundle({ document, pointer: pointer ?? [] })
  return { schema: bundled?.schema, problems, findings: store.findings, directory }
}

const codesOf = (problems: readonly SchemaProblem[]) => problems.map(({ code }) => code)

describe('bundling', () => {
  it('leaves a schema without references as it is', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string', default: { $ref: '#/x' } } },
    }
    expect(bundle({ 'main.json': schema }).schema).toEqual(schema)
  })

  it('keeps only what is reachable, under the container of the draft', () => {
    const parts = { a: { type: 'string' }, unused: { type: 'number' } }
    const old = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      $ref: '#/definitions/a',
      definitions: parts,
    }
    expect(bundle({ 'main.json': old }).schema).toEqual({
      $schema: 'http://json-schema.org/draft-07/schema#',
      $ref: '#/definitions/a',
      definitions: { a: { type: 'string' } },
    })
    expect(bundle({ 'main.json': { $ref: '#/$defs/a', $defs: parts } }).schema).toEqual({
      $ref: '#/$defs/a',
      $defs: { a: { type: 'string' } },
    })
  })

  it('brings in what other files hold, in folders above and below, as JSON and YAML', () => {
    const { schema, problems } = bundle(
      {
        'deep/main.json': {
          properties: {
            a: { $ref: '../shared/address.json#/$defs/city' },
            b: { $ref: './b.yaml' },
          },
        },
        'shared/address.json': { $defs: { city: { type: 'string', $comment: 'c' }, other: {} } },
        'deep/b.yaml': 'type: object\nproperties:\n  next: { $ref: "#" }\n',
      },
      './deep/main.json',
    )
    expect(problems).toEqual([])
    expect(schema).toEqual({
      properties: { a: { $ref: '#/$defs/city' }, b: { $ref: '#/$defs/b' } },
      $defs: {
        city: { type: 'string', $comment: 'c' },
        b: { type: 'object', properties: { next: { $ref: '#/$defs/b' } } },
      },
    })
  })

  it.each(['04', '06', '07'])('knows draft-%s', (draft) => {
    const $schema = `http://json-schema.org/draft-${draft}/schema#`
    expect(bundle({ 'main.json': { $schema, type: 'object' } }).problems).toEqual([])
    expect(codesOf(bundle({ 'main.json': { $schema, type: 7 } }).problems)).toEqual([
      'SCHEMA_INVALID',
    ])
  })

  it('keeps recursion as recursion', () => {
    const node = { type: 'object', properties: { v: { type: 'number' }, next: { $ref: '#' } } }
    expect(bundle({ 'main.json': node }).schema).toEqual(node)
    const { schema } = bundle({
      'main.json': { $ref: 'tree.json' },
      'tree.json': {
        type: 'object',
        properties: { kids: { type: 'array', items: { $ref: '#' } } },
      },
    })
    const { check } = compileSchema(schema as JsonSchema)
    expect(check({ kids: [{ kids: [{}] }] })).toBe(true)
    expect(check({ kids: [{ kids: [1] }] })).toBe(false)
  })

  it('takes one definition out of a file', () => {
    const file = { definitions: { a: { $ref: '#/definitions/b' }, b: { type: 'string' }, c: {} } }
    const { schema } = bundle(
      { 'main.json': { $schema: 'http://json-schema.org/draft-07/schema#', ...file } },
      './main.json#/definitions/a',
    )
    expect(schema).toEqual({
      $schema: 'http://json-schema.org/draft-07/schema#',
      $ref: '#/definitions/b',
      definitions: { b: { type: 'string' } },
    })
  })

  it('gives definitions of one name from two files a name each', () => {
    const { schema } = bundle({
      'main.json': {
        properties: { a: { $ref: 'a.json#/$defs/x' }, b: { $ref: 'b.json#/$defs/x' } },
      },
      'a.json': { $defs: { x: { type: 'string' } } },
      'b.json': { $defs: { x: { type: 'number' } } },
    })
    expect(schema).toEqual({
      properties: { a: { $ref: '#/$defs/x' }, b: { $ref: '#/$defs/x_2' } },
      $defs: { x: { type: 'string' }, x_2: { type: 'number' } },
    })
  })

  it('writes names with odd characters so that every validator finds them', () => {
    const names = { 'a/b~c %$"é': { type: 'string' } }
    const { schema, problems } = bundle({
      'main.json': { properties: { x: { $ref: '#/$defs/a~1b~0c%20%25$%22%C3%A9' } }, $defs: names },
    })
    expect(problems).toEqual([])
    const { check } = compileSchema(schema as JsonSchema)
    expect(check({ x: 's' })).toBe(true)
    expect(check({ x: 7 })).toBe(false)
  })

  it('follows ids and anchors, and drops them where nothing needs them any more', () => {
    const { schema, problems } = bundle({
      'main.json': {
        $id: 'https://example.com/schemas/main.json',
        properties: {
          a: { $ref: 'part.json' },
          b: { $ref: '#here' },
          c: { $ref: 'https://example.com/schemas/main.json#/$defs/d' },
          e: { $ref: 'beside.json' },
        },
        $defs: {
          p: { $id: 'part.json', type: 'string' },
          h: { $anchor: 'here', type: 'number' },
          d: { type: 'boolean' },
        },
      },
      'beside.json': { type: 'null' },
    })
    expect(problems).toEqual([])
    expect(schema).toEqual({
      properties: {
        a: { $ref: '#/$defs/p' },
        b: { $ref: '#/$defs/h' },
        c: { $ref: '#/$defs/d' },
        e: { $ref: '#/$defs/beside' },
      },
      $defs: {
        p: { type: 'string' },
        h: { type: 'number' },
        d: { type: 'boolean' },
        beside: { type: 'null' },
      },
    })
  })

  it('gives the same names whatever else was loaded before', () => {
    const files = {
      'main.json': {
        properties: { b: { $ref: '#/$defs/b' }, a: { $ref: '#/$defs/a' } },
        $defs: { a: { $ref: '#/$defs/b' }, b: { type: 'string' } },
      },
    }
    const alone = bundle(files).schema
    const again = bundle({ ...files, 'other.json': {} }).schema
    expect(JSON.stringify(again)).toBe(JSON.stringify(alone))
  })

  it('does not take data for references', () => {
    const schema = {
      const: { $ref: './nope.json' },
      examples: [{ $ref: 'x' }],
      properties: { $ref: { type: 'string' } },
    }
    const bundled = bundle({ 'main.json': schema })
    expect(bundled.problems).toEqual([])
    expect(bundled.schema).toEqual(schema)
  })
})

describe('bundling refuses', () => {
  it.each([
    [
      'a remote reference',
      { properties: { a: { $ref: 'https://example.com/a.json' } } },
      'REF_REMOTE',
      ['properties', 'a', '$ref'],
    ],
    ['a missing file', { items: { $ref: './nope.json' } }, 'SCHEMA_NOT_FOUND', ['items', '$ref']],
    [
      'a missing place',
      { allOf: [{ $ref: '#/$defs/nope' }] },
      'REF_NOT_FOUND',
      ['allOf', '0', '$ref'],
    ],
    ['a missing anchor', { $ref: '#nope' }, 'REF_NOT_FOUND', ['$ref']],
    [
      'a way out of the folder',
      { $ref: '../../../../../../etc/hostname' },
      'REF_OUTSIDE',
      ['$ref'],
    ],
    [
      'a circle of references alone',
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
      'REF_CYCLE',
      [],
    ],
    ['a reference to itself', { $ref: '#' }, 'REF_CYCLE', []],
    ['a circle through allOf', { allOf: [{ anyOf: [{ $ref: '#' }] }] }, 'REF_CYCLE', []],
    [
      'a wrong type',
      { properties: { a: { type: 'strin' } } },
      'SCHEMA_INVALID',
      ['properties', 'a', 'type'],
    ],
    ['a wrong keyword value', { minLength: -1 }, 'SCHEMA_INVALID', ['minLength']],
    ['a broken pattern', { pattern: '(' }, 'SCHEMA_INVALID', ['pattern']],
    [
      'a schema that is a list',
      { items: { $ref: '#/$defs/a' }, $defs: { a: [] } },
      'SCHEMA_INVALID',
      ['$defs', 'a'],
    ],
  ])('%s, with the place', (_what, schema, code, pointer) => {
    const { problems, schema: bundled } = bundle({ 'main.json': schema as Json })
    expect(bundled).toBeUndefined()
    expect(problems).toMatchObject([{ code, pointer }])
  })

  it('a link that leads out of the folder', () => {
    const outside = join(root, 'outside.json')
    writeFileSync(outside, '{}')
    const { directory } = bundle({ 'main.json': {} })
    symlinkSync(outside, join(String(directory), 'link.json'))
    const opened = createSchemaStore().open('./link.json', {
      directory: String(directory),
      jail: String(directory),
    })
    expect(opened).toMatchObject({ code: 'REF_OUTSIDE' })
  })

  it('two drafts in one schema', () => {
    const { problems } = bundle({
      'main.json': { $schema: 'https://json-schema.org/draft/2020-12/schema', $ref: './old.json' },
      'old.json': { $schema: 'http://json-schema.org/draft-04/schema#', type: 'string' },
    })
    expect(codesOf(problems)).toEqual(['SCHEMA_DRAFTS_MIXED'])
  })

  it('a draft that nobody knows', () => {
    const schema = { $schema: 'http://json-schema.org/draft-03/schema#', type: 'string' }
    const { problems, schema: bundled } = bundle({ 'main.json': schema })
    expect(problems).toMatchObject([{ code: 'SCHEMA_DRAFT_UNKNOWN', pointer: ['$schema'] }])
    expect(bundled).toBeUndefined()
  })

  it('references that double at each step, at once', () => {
    const $defs: Record<string, Json> = { d0: { type: 'string' } }
    for (let at = 1; at <= 40; at += 1) {
      $defs[`d${at}`] = { allOf: [{ $ref: `#/$defs/d${at - 1}` }, { $ref: `#/$defs/d${at - 1}` }] }
    }
    const { problems } = bundle({
      'main.json': { properties: { a: { $ref: '#/$defs/d40' } }, $defs },
    })
    expect(codesOf(problems)).toEqual(['SCHEMA_TOO_LARGE'])
  })

  it('a dynamic reference that could mean two schemas', () => {
    const strict = { $dynamicAnchor: 'node', $ref: './tree.json', unevaluatedProperties: false }
    const tree = {
      $dynamicAnchor: 'node',
      type: 'object',
      properties: { kids: { items: { $dynamicRef: '#node' } } },
    }
    expect(codesOf(bundle({ 'main.json': strict, 'tree.json': tree }).problems)).toEqual([
      'SCHEMA_UNSUPPORTED',
    ])
    const alone = bundle({ 'main.json': tree })
    expect(alone.problems).toEqual([])
    expect(alone.schema).toMatchObject({ properties: { kids: { items: { $ref: '#' } } } })
  })

  it('a chain of references that would exhaust the stack', () => {
    const $defs: Record<string, Json> = { d0: { type: 'string' } }
    for (let at = 1; at <= 20_000; at += 1) $defs[`d${at}`] = { $ref: `#/$defs/d${at - 1}` }
    const { problems } = bundle({ 'main.json': { $ref: '#/$defs/d20000', $defs } })
    expect(codesOf(problems)).toEqual(['SCHEMA_TOO_LARGE'])
  })

  it('more parts than the limit', () => {
    const properties = Object.fromEntries(
      Array.from({ length: 100_001 }, (_, at) => [`p${at}`, {}]),
    )
    expect(codesOf(bundle({ 'main.json': { properties } }).problems)).toEqual(['SCHEMA_TOO_LARGE'])
  })

  it('a schema file that is no JSON, with the place inside it', () => {
    const { refusal, findings } = bundle({ 'main.json': '{\n  "type": "object",\n}' })
    expect(refusal).toMatchObject({ code: 'SCHEMA_UNREADABLE' })
    expect(findings).toMatchObject([{ code: 'JSON_SYNTAX', line: 3, column: 1 }])
  })

  it('packages that are not installed, with the command', () => {
    const { refusal } = bundle({}, 'npm:@nobody/nothing-here/schema.json#/definitions/a')
    expect(refusal).toMatchObject({
      code: 'SCHEMA_NOT_FOUND',
      hint: 'Run `npm install @nobody/nothing-here`.',
    })
  })
})

describe('a large document of many definitions', () => {
  it('is read once and bundled for each of its events', () => {
    const store = createSchemaStore()
    const base = { directory: import.meta.dirname, jail: import.meta.dirname }
    const document = store.open('npm:@octokit/webhooks-schemas/schema.json', base)
    if (isRefusal(document)) throw new Error(document.message)
    const problems: SchemaProblem[] = []
    const bundler = createBundler(store, (problem) => problems.push(problem))
    const { oneOf } = document.value as { oneOf: { $ref: string }[] }
    const schemas = oneOf.map(({ $ref }) => {
      const { pointer = [] } = splitReference($ref)
      return bundler.bundle({ document, pointer })?.schema
    })
    expect(problems).toEqual([])
    expect(schemas.length).toBeGreaterThan(60)
    for (const schema of schemas) {
      const text = JSON.stringify(schema)
      const names = [...text.matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)].map(([, name]) => name)
      const { definitions = {} } = schema as { definitions?: Record<string, unknown> }
      // Everything referred to is there, and nothing else.
      expect([...new Set(names.map((name) => decodeURIComponent(name ?? '')))].sort()).toEqual(
        Object.keys(definitions).sort(),
      )
    }
  })
})
