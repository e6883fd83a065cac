import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Path } from '../source/source.ts'
import type { Refusal, SchemaDocument, SchemaStore, SchemaTarget } from './schema-store.ts'
import { isRefusal, splitReference } from './schema-store.ts'
import { eachSubschema } from './schema-walk.ts'

/** Finds what references name: by pointer, by anchor, by id, by file. */
export interface Resolver {
  /** The base URI in force at a place of a document. */
  baseOf(document: SchemaDocument, pointer: Path): string
  /** The base URI inside `schema`, which may set its own by `$id`. */
  enter(document: SchemaDocument, schema: JsonObject, base: string): string
  /** How many schemas of a document a dynamic reference of this name could mean; the empty name is `$recursiveRef`. */
  dynamicAnchors(document: SchemaDocument, name: string): number
  resolve(reference: string, document: SchemaDocument, base: string): SchemaTarget | Refusal
}

/** What a document declares. */
interface Index {
  /** Ids and anchors, as absolute URIs. */
  readonly places: ReadonlyMap<string, Path>
  readonly dynamicAnchors: ReadonlyMap<string, number>
}

/** Base of a document that names none: no reference can mean it by accident. */
const anonymous = 'treaty-document:/'

function idOf(schema: JsonObject, document: SchemaDocument): string | undefined {
  const id = document.draft === '04' ? schema.id : schema.$id
  return typeof id === 'string' && id !== '' ? id : undefined
}

function join(reference: string, base: string): string {
  try {
    return new URL(reference, base).href
  } catch {
    return reference
  }
}

function withoutFragment(uri: string): string {
  const at = uri.indexOf('#')
  return at === -1 ? uri : uri.slice(0, at)
}

/** Ids and anchors of a whole document, gathered once, only when a reference needs them. */
function createIndex(document: SchemaDocument): Index {
  const root = document.value
  const places = new Map<string, Path>()
  const dynamicAnchors = new Map<string, number>()
  const count = (name: string) => dynamicAnchors.set(name, (dynamicAnchors.get(name) ?? 0) + 1)
  const add = (uri: string, path: Path) => {
    if (!places.has(uri)) places.set(uri, path)
  }
  const walk = (schema: JsonObject, path: Path, base: string) => {
    const id = idOf(schema, document)
    const here = id === undefined ? base : join(id, base)
    if (id !== undefined) {
      add(here.replace(/#$/, ''), path)
    }
    const inside = withoutFragment(here)
    for (const keyword of ['$anchor', '$dynamicAnchor']) {
      const anchor = schema[keyword]
      if (typeof anchor === 'string') add(`${inside}#${anchor}`, path)
    }
    if (typeof schema.$dynamicAnchor === 'string') count(schema.$dynamicAnchor)
    if (schema.$recursiveAnchor === true) count('')
    eachSubschema(schema, (subschema, below) => walk(subschema, [...path, ...below], inside))
  }
  if (isJsonObject(root)) walk(root, [], anonymous)
  return { places, dynamicAnchors }
}

/** @see JSON Schema core 2020-12, section 8.2; `id` of draft-04 is understood too */
export function createResolver(store: SchemaStore): Resolver {
  const indexes = new WeakMap<SchemaDocument, Index>()

  function indexOf(document: SchemaDocument): Index {
    let index = indexes.get(document)
    if (!index) {
      index = createIndex(document)
      indexes.set(document, index)
    }
    return index
  }

  function inDocument(
    uri: string,
    document: SchemaDocument,
    base: string,
  ): SchemaTarget | undefined {
    const { file, pointer, fragment } = splitReference(uri)
    const index = indexOf(document).places
    const root = file === withoutFragment(base) && file === anonymous ? [] : index.get(file)
    if (pointer) return root && { document, pointer: [...root, ...pointer] }
    const anchored = index.get(`${file}#${fragment}`)
    return anchored && { document, pointer: anchored }
  }

  function inFile(reference: string, document: SchemaDocument): SchemaTarget | Refusal {
    const { file, pointer, fragment } = splitReference(reference)
    const opened = store.open(file, document)
    if (isRefusal(opened)) return opened
    if (pointer) return { document: opened, pointer }
    for (const [uri, path] of indexOf(opened).places) {
      if (uri.endsWith(`#${fragment}`)) return { document: opened, pointer: path }
    }
    return notFound(reference)
  }

  return {
    dynamicAnchors: (document, name) => indexOf(document).dynamicAnchors.get(name) ?? 0,
    baseOf(document, pointer) {
      let base = anonymous
      let current: Json | undefined = document.value
      for (const step of pointer) {
        if (isJsonObject(current)) base = this.enter(document, current, base)
        current = (current as Record<string, Json> | undefined)?.[step]
      }
      return base
    },
    enter(document, schema, base) {
      const id = idOf(schema, document)
      return id === undefined || id.startsWith('#') ? base : withoutFragment(join(id, base))
    },
    resolve(reference, document, base) {
      if (reference.startsWith('#/') || reference === '#') {
        // The usual case needs no index: a pointer into the document that has one base throughout.
        const { pointer } = splitReference(reference)
        if (base === anonymous && pointer) return { document, pointer }
      }
      const found = inDocument(join(reference, base), document, base)
      if (found) return found
      if (reference.startsWith('#')) return notFound(reference)
      return inFile(reference, document)
    },
  }
}

function notFound(reference: string): Refusal {
  return {
    code: 'REF_NOT_FOUND',
    message: `\`${reference}\` leads nowhere`,
    hint: 'Check the reference: nothing has this name.',
  }
}
