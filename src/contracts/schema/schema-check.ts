import { createRequire } from 'node:module'
import type { Json, JsonObject } from '../../core/json.ts'
import { parsePointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import type { Path } from '../source/source.ts'
import type { Draft } from './draft.ts'
import { uriOfDraft } from './draft.ts'
import type { SchemaDocument } from './schema-store.ts'
import type { CompiledSchema } from './validator.ts'
import { compileSchema } from './validator.ts'

/** Something wrong with a schema, at a place of the document that holds it. */
export interface SchemaProblem {
  readonly code: string
  readonly message: string
  readonly document: SchemaDocument
  readonly pointer: Path
  readonly hint?: string
}

/** Where a schema departs from its draft's own schema. */
export interface MetaProblem {
  readonly path: Path
  readonly message: string
}

const typeNames = 'array, boolean, integer, null, number, object or string'

/**
 * Holds a schema against the meta-schema of its draft: one problem for each place, the deepest that says something.
 * The meta-schema of a draft is compiled once, on first use.
 */
export function metaProblems(schema: JsonSchema, draft: Draft): MetaProblem[] {
  if (typeof schema === 'boolean') {
    return draft === '04' ? [{ path: [], message: 'draft-04 knows no boolean schemas' }] : []
  }
  const meta = metaSchemaOf(draft)
  if (meta.check(schema)) return []
  const byPointer = new Map<string, string>()
  for (const error of meta.errors(schema)) {
    const known = byPointer.get(error.pointer)
    const message = describe(error)
    // A union reports each of its branches; what narrows the value itself is said first.
    if (known === undefined || error.keyword === 'enum') byPointer.set(error.pointer, message)
  }
  return [...byPointer].map(([pointer, message]) => ({
    path: parsePointer(pointer) ?? [],
    message,
  }))
}

const require = createRequire(import.meta.url)
const draft06 = new Map<'schema', CompiledSchema>()

/** Ajv brings the schema of draft-06 along and knows it under no name; it is read as the draft-07 schema that it also is. */
function metaSchemaOf(draft: Draft): CompiledSchema {
  const uri = uriOfDraft(draft)
  if (draft !== '06') return compileSchema({ $schema: uri, $ref: uri }, { draft })
  let meta = draft06.get('schema')
  if (!meta) {
    const {
      $schema: _schema,
      $id: _id,
      ...schema
    } = require('ajv/dist/refs/json-schema-draft-06.json') as JsonObject
    meta = compileSchema(schema, { draft: '07' })
    draft06.set('schema', meta)
  }
  return meta
}

function describe(error: {
  readonly keyword: string
  readonly pointer: string
  readonly expected: unknown
  readonly found: unknown
}): string {
  const last = parsePointer(error.pointer)?.at(-1) ?? 'the schema'
  const found = JSON.stringify(error.found as Json)?.slice(0, 60)
  if (
    error.keyword === 'enum' &&
    Array.isArray(error.expected) &&
    error.expected.includes('null')
  ) {
    return `\`${last}\` is \`${found}\`, expected ${typeNames}`
  }
  if (error.keyword === 'type') {
    return `\`${last}\` is \`${found}\`, expected ${[error.expected].flat().join(' or ')}`
  }
  if (error.keyword === 'format')
    return `\`${last}\` is \`${found}\`, which is no ${error.expected}`
  return `\`${last}\` is \`${found}\`, which its draft does not allow (\`${error.keyword}\`)`
}
