import type { Finding } from '../../../core/finding.ts'
import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { JsonSchema } from '../../model.ts'
import { pointerToken } from '../formula/canonical.ts'
import { type Draft, draftOf, idKeyword, refHidesSiblings, shapesOf } from './dialect.ts'
import { shapeProblem } from './shapes.ts'

/** A schema resource: a schema with an identifier of its own (core specification, section 4.3.5). */
export interface Resource {
  readonly uri: string
  readonly pointer: string
  readonly draft: Draft
  readonly root: JsonSchema
  readonly anchors: Map<string, Place>
  /** Names of `$dynamicAnchor`; the empty name stands for `$recursiveAnchor: true`. */
  readonly dynamicAnchors: Map<string, Place>
  readonly document: Document
}

/** One subschema and where it stands: all that its meaning depends on, but the dynamic scope. */
export interface Place {
  readonly schema: JsonSchema
  /** From the root of the document, RFC 6901. */
  readonly pointer: string
  readonly resource: Resource
}

/** A loaded schema with everything that references may lead to inside it. */
export interface Document {
  readonly root: Place
  readonly raw: JsonSchema
  readonly byUri: Map<string, Resource>
  /** Pointer → the resource that begins there. */
  readonly byPointer: Map<string, Resource>
  /** Places with `$ref`, in order; loading checks that each leads somewhere. */
  readonly references: Place[]
  readonly usesDynamicScope: boolean
  readonly usesUnevaluated: boolean
  /** It has keywords that validators in use are known to read otherwise than the specification. */
  readonly isDelicate: boolean
}

/** Base of schemas that name none; opaque to users. */
export const defaultBase = 'json-schema:///root'
const depthMax = 20_000
const delicate: ReadonlySet<string> = new Set(['contains', '$dynamicRef', '$recursiveRef'])
const subschemasMax = 1_000_000

interface Walk {
  readonly document: Document
  readonly findings: Finding[]
}

type Frame = {
  readonly schema: Json
  readonly pointer: string
  readonly resource: Resource
  readonly depth: number
}

/** Reads a schema: its resources, anchors and references. What is malformed ends up in `findings`. */
export function indexDocument(
  raw: JsonSchema,
  draft: Draft,
  uri = defaultBase,
): { document: Document; findings: Finding[] } {
  const document = {
    raw,
    byUri: new Map(),
    byPointer: new Map(),
    references: [],
    usesDynamicScope: false,
    usesUnevaluated: false,
    isDelicate: false,
  } as unknown as { -readonly [K in keyof Document]: Document[K] }
  const root = createResource(document, { uri, pointer: '', draft, root: raw })
  const walk: Walk = { document, findings: [] }
  if (typeof raw !== 'boolean' && !isJsonObject(raw)) {
    walk.findings.push(invalid('', 'a schema must be an object, true or false'))
  }
  walkFrom(walk, { schema: raw, pointer: '', resource: root, depth: 0 })
  const first = document.byPointer.get('') ?? root
  document.root = { schema: raw, pointer: '', resource: first }
  document.usesDynamicScope = [...document.byUri.values()].some(
    ({ dynamicAnchors }) => dynamicAnchors.size > 0,
  )
  return { document, findings: walk.findings }
}

function createResource(
  document: Document,
  parts: Pick<Resource, 'uri' | 'pointer' | 'draft' | 'root'>,
): Resource {
  const resource: Resource = { ...parts, anchors: new Map(), dynamicAnchors: new Map(), document }
  document.byUri.set(resource.uri, resource)
  document.byPointer.set(resource.pointer, resource)
  return resource
}

function invalid(pointer: string, message: string): Finding {
  return { code: 'SCHEMA_INVALID', severity: 'error', pointer, message }
}

/** Visits every subschema below a place, without recursion: schemas may be nested very deeply. */
export function walkFrom(walk: Walk, start: Frame): void {
  const stack: Frame[] = [start]
  let visited = 0
  for (let frame = stack.pop(); frame !== undefined; frame = stack.pop()) {
    if (!isJsonObject(frame.schema)) continue
    visited += 1
    if (visited > subschemasMax) {
      walk.findings.push(
        invalid(frame.pointer, `the schema has more than ${subschemasMax} subschemas`),
      )
      return
    }
    if (frame.depth > depthMax) {
      walk.findings.push(
        invalid(frame.pointer, `the schema is nested more than ${depthMax} levels deep`),
      )
      return
    }
    visit(walk, frame, frame.schema, stack)
  }
}

function visit(walk: Walk, frame: Frame, schema: JsonObject, stack: Frame[]): void {
  const resource = enterResource(walk, frame, schema)
  const place: Place = { schema, pointer: frame.pointer, resource }
  const hidden = refHidesSiblings(resource.draft) && typeof schema.$ref === 'string'
  if (!hidden) addAnchors(place, schema)
  const shapes = shapesOf(resource.draft)
  const children: Frame[] = []
  for (const [keyword, value] of Object.entries(schema)) {
    const shape = shapes.get(keyword)
    if (shape === undefined || value === undefined) continue
    const definitions = keyword === 'definitions' || keyword === '$defs'
    if (hidden && keyword !== '$ref' && !definitions) continue
    const problem = shapeProblem(shape, value, resource.draft)
    const pointer = `${frame.pointer}/${pointerToken(keyword)}`
    if (problem !== undefined) walk.findings.push(invalid(pointer, `${keyword} ${problem}`))
    else
      for (const [path, part] of subschemas(keyword, value)) {
        children.push({
          schema: part,
          pointer: frame.pointer + path,
          resource,
          depth: frame.depth + 1,
        })
      }
    const isUnevaluated = keyword.startsWith('unevaluated')
    if (isUnevaluated) (walk.document as { usesUnevaluated: boolean }).usesUnevaluated = true
    if (isUnevaluated || delicate.has(keyword))
      (walk.document as { isDelicate: boolean }).isDelicate = true
    if (keyword === '$ref' || keyword === '$recursiveRef' || keyword === '$dynamicRef')
      walk.document.references.push(place)
  }
  stack.push(...children.reverse())
}

function enterResource(walk: Walk, frame: Frame, schema: JsonObject): Resource {
  const parent = frame.resource
  const atRoot = frame.pointer === parent.pointer
  // The draft of the whole is the caller's; an embedded resource may name its own.
  const declared = frame.pointer === '' ? undefined : draftOf(schema.$schema)
  const draft = declared ?? parent.draft
  const id = schema[idKeyword(draft)]
  if (typeof id !== 'string' || (refHidesSiblings(draft) && typeof schema.$ref === 'string'))
    return parent
  const [path, fragment] = id.split('#') as [string, string?]
  if (refHidesSiblings(draft) && path === '' && fragment !== undefined) {
    parent.anchors.set(fragment, { schema, pointer: frame.pointer, resource: parent })
    return parent
  }
  const uri = resolveUri(path, parent.uri)
  if (uri === undefined) {
    walk.findings.push(
      invalid(`${frame.pointer}/${idKeyword(draft)}`, 'the identifier must be a URI reference'),
    )
    return parent
  }
  if (atRoot && uri === parent.uri) return parent
  return createResource(walk.document, { uri, pointer: frame.pointer, draft, root: schema })
}

function addAnchors(place: Place, schema: JsonObject): void {
  const { resource } = place
  const shapes = shapesOf(resource.draft)
  if (shapes.has('$anchor') && typeof schema.$anchor === 'string')
    resource.anchors.set(schema.$anchor, place)
  if (shapes.has('$dynamicAnchor') && typeof schema.$dynamicAnchor === 'string') {
    resource.anchors.set(schema.$dynamicAnchor, place)
    resource.dynamicAnchors.set(schema.$dynamicAnchor, place)
  }
  const atRoot = place.pointer === resource.pointer
  if (atRoot && shapes.has('$recursiveAnchor') && schema.$recursiveAnchor === true)
    resource.dynamicAnchors.set('', place)
}

/** The absolute URI of a reference, without fragment; undefined when it is none. */
export function resolveUri(reference: string, base: string): string | undefined {
  if (reference === '') return base
  try {
    const url = new URL(reference, base)
    url.hash = ''
    return url.href.replace(/#$/, '')
  } catch {
    return undefined
  }
}

/** The subschemas below one keyword's value, each with its pointer relative to the schema. */
export function subschemas(keyword: string, value: Json): [path: string, schema: Json][] {
  const base = `/${keyword}`
  const kind = childKinds[keyword]
  if (kind === 'one') return Array.isArray(value) ? listed(base, value) : [[base, value]]
  if (kind === 'list') return Array.isArray(value) ? listed(base, value) : []
  if (kind === 'map' && isJsonObject(value)) {
    return Object.entries(value).flatMap(([name, part]) =>
      part === undefined || Array.isArray(part)
        ? []
        : [[`${base}/${pointerToken(name)}`, part] as [string, Json]],
    )
  }
  return []
}

const listed = (base: string, parts: readonly Json[]): [string, Json][] =>
  parts.map((part, index) => [`${base}/${index}`, part])

const childKinds: Readonly<Record<string, 'one' | 'list' | 'map'>> = {
  items: 'one',
  additionalItems: 'one',
  contains: 'one',
  additionalProperties: 'one',
  propertyNames: 'one',
  unevaluatedItems: 'one',
  unevaluatedProperties: 'one',
  not: 'one',
  if: 'one',
  else: 'one',
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited.
  then: 'one',
  prefixItems: 'list',
  allOf: 'list',
  anyOf: 'list',
  oneOf: 'list',
  $defs: 'map',
  definitions: 'map',
  properties: 'map',
  patternProperties: 'map',
  dependencies: 'map',
  dependentSchemas: 'map',
}
