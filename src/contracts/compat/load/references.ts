import { createRequire } from 'node:module'
import { TreatyError } from '../../../core/errors.ts'
import type { Finding } from '../../../core/finding.ts'
import { isJsonObject, type Json, parsePointer } from '../../../core/json.ts'
import type { JsonSchema } from '../../model.ts'
import { pointerToken } from '../formula/canonical.ts'
import { type Draft, draftOf } from './dialect.ts'
import {
  type Document,
  indexDocument,
  type Place,
  type Resource,
  resolveUri,
  walkFrom,
} from './resources.ts'

/** Where a reference leads, and whether it did so by a name (a plain anchor) rather than a pointer. */
export interface Target {
  readonly place: Place
  /** The anchor's name; undefined for a JSON Pointer. */
  readonly anchor: string | undefined
}

export type Resolution = Target | { readonly problem: 'remote' | 'missing' }

const load = createRequire(import.meta.url)
const folder2019 = [
  'schema',
  'meta/core',
  'meta/applicator',
  'meta/validation',
  'meta/meta-data',
  'meta/format',
  'meta/content',
]
const folder2020 = [
  ...folder2019.slice(0, 3),
  'meta/unevaluated',
  ...folder2019.slice(3, 5),
  'meta/format-annotation',
  'meta/content',
]
const metaFiles: Readonly<Record<string, readonly [file: string, draft: Draft]>> = {
  'http://json-schema.org/draft-04/schema': [
    'ajv-draft-04/dist/refs/json-schema-draft-04.json',
    '04',
  ],
  'http://json-schema.org/draft-06/schema': ['ajv/dist/refs/json-schema-draft-06.json', '06'],
  'http://json-schema.org/draft-07/schema': ['ajv/dist/refs/json-schema-draft-07.json', '07'],
  ...metaFolder('2019-09', folder2019),
  ...metaFolder('2020-12', folder2020),
}

function metaFolder(
  draft: Draft,
  names: readonly string[],
): Record<string, readonly [string, Draft]> {
  return Object.fromEntries(
    names.map((name) => [
      `https://json-schema.org/draft/${draft}/${name}`,
      [`ajv/dist/refs/json-schema-${draft}/${name}.json`, draft],
    ]),
  )
}

const metaDocuments = new Map<string, Document>()

/** A draft's own meta-schema, from files that ship with the validator: never from the network. */
function metaResource(uri: string): Resource | undefined {
  const entry = metaFiles[uri]
  if (entry === undefined) return undefined
  const known = metaDocuments.get(uri)
  if (known !== undefined) return known.root.resource
  const raw = load(entry[0]) as JsonSchema
  const { document } = indexDocument(raw, entry[1], uri)
  metaDocuments.set(uri, document)
  return document.root.resource
}

function findResource(from: Resource, uri: string): Resource | undefined {
  return from.document.byUri.get(uri) ?? metaResource(uri)
}

/** Follows `reference` as it stands in a schema of `from`. */
export function resolveReference(from: Resource, reference: string): Resolution {
  const hash = reference.indexOf('#')
  const path = hash < 0 ? reference : reference.slice(0, hash)
  const fragment = hash < 0 ? '' : reference.slice(hash + 1)
  const uri = resolveUri(path, from.uri)
  if (uri === undefined) return { problem: 'missing' }
  const resource = findResource(from, uri)
  if (resource === undefined) return { problem: 'remote' }
  return resolveFragment(resource, fragment)
}

function resolveFragment(resource: Resource, fragment: string): Resolution {
  const text = decode(fragment)
  if (text === undefined) return { problem: 'missing' }
  if (text !== '' && !text.startsWith('/')) {
    const place = resource.anchors.get(text)
    return place === undefined ? { problem: 'missing' } : { place, anchor: text }
  }
  const place = walkPointer(resource, text)
  return place === undefined ? { problem: 'missing' } : { place, anchor: undefined }
}

function decode(fragment: string): string | undefined {
  try {
    return decodeURIComponent(fragment)
  } catch {
    return undefined
  }
}

/** Walks raw JSON, since a pointer may pass through what is no keyword; follows changes of the resource. */
function walkPointer(resource: Resource, pointer: string): Place | undefined {
  const tokens = parsePointer(pointer) ?? []
  let value: Json = resource.root
  let at = resource.pointer
  let current = resource
  for (const token of tokens) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token))
      return undefined
    value = (value as unknown as Record<string, Json>)[token] as Json
    at = `${at}/${pointerToken(token)}`
    current = current.document.byPointer.get(at) ?? current
  }
  if (typeof value !== 'boolean' && !isJsonObject(value)) return undefined
  return { schema: value, pointer: at, resource: current }
}

/** The place of a subschema; it may begin a resource of its own. */
export function childPlace(parent: Place, path: string, schema: Json): Place {
  const pointer = parent.pointer + path
  const { byPointer } = parent.resource.document
  return {
    schema: schema as JsonSchema,
    pointer,
    resource: byPointer.get(pointer) ?? parent.resource,
  }
}

/**
 * Loads a schema and checks it: every keyword well formed, every reference inside it.
 *
 * @throws SCHEMA_INVALID with one finding for each malformed keyword
 * @throws REF_REMOTE when a reference leads to a document that is not there: nothing is ever fetched
 * @throws REF_NOT_FOUND when a reference leads nowhere inside its document
 */
export function loadSchema(raw: JsonSchema, draft: Draft = '2020-12'): Document {
  const { document, findings } = indexDocument(raw, draft)
  if (findings.length > 0) {
    const first = findings[0] as Finding
    throw new TreatyError(
      'SCHEMA_INVALID',
      `the schema is not valid: ${first.message} (at ${first.pointer || 'its root'})`,
      {
        hint: 'Correct the schema at the pointers of the findings.',
        findings,
      },
    )
  }
  checkReferences(document)
  return document
}

function checkReferences(document: Document): void {
  const remote: Finding[] = []
  const missing: Finding[] = []
  // Grows while it is walked: what lies under unknown keywords is indexed when it is pointed at.
  for (const place of document.references) {
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef'] as const) {
      const reference = typeof place.schema === 'object' ? place.schema[keyword] : undefined
      if (typeof reference !== 'string') continue
      const found = resolveReference(place.resource, reference)
      if (!('problem' in found)) {
        indexHidden(document, found.place)
        continue
      }
      const pointer = `${place.pointer}/${keyword}`
      const message =
        found.problem === 'remote'
          ? `${reference} leads outside the schema`
          : `${reference} leads nowhere`
      const list = found.problem === 'remote' ? remote : missing
      list.push({
        code: found.problem === 'remote' ? 'REF_REMOTE' : 'REF_NOT_FOUND',
        severity: 'error',
        pointer,
        message,
      })
    }
  }
  const findings = [...remote, ...missing]
  const first = findings[0]
  if (first === undefined) return
  throw new TreatyError(
    remote.length > 0 ? 'REF_REMOTE' : 'REF_NOT_FOUND',
    `a reference cannot be followed: ${first.message}`,
    {
      hint: 'Bundle what is referred to into the schema, under $defs.',
      findings,
    },
  )
}

const indexedBelow = new WeakMap<Document, Set<string>>()

/** A pointer may lead below a keyword that holds no subschemas: what is there is read now. */
function indexHidden(document: Document, place: Place): void {
  if (place.resource.document !== document) return
  const seen = indexedBelow.get(document) ?? new Set()
  indexedBelow.set(document, seen)
  if (seen.has(place.pointer)) return
  seen.add(place.pointer)
  if (isKnownPath(place.pointer)) return
  walkFrom(
    { document, findings: [] },
    { schema: place.schema, pointer: place.pointer, resource: place.resource, depth: 0 },
  )
}

/** True when every step of the pointer is a keyword that the first walk follows. */
function isKnownPath(pointer: string): boolean {
  return (
    pointer === '' ||
    /^(?:\/(?:\$defs|definitions|properties|patternProperties|dependentSchemas)\/[^/]+|\/(?:allOf|anyOf|oneOf|prefixItems)\/\d+|\/(?:not|if|then|else|items|contains|additionalProperties|propertyNames|additionalItems|unevaluatedItems|unevaluatedProperties))+$/.test(
      pointer,
    )
  )
}

/** The draft that a schema names itself; undefined when it names none that is known. */
export function declaredDraft(raw: JsonSchema): Draft | undefined {
  return isJsonObject(raw) ? draftOf(raw.$schema) : undefined
}
