import type { JsonObject } from '../../core/json.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { eachSubschema } from './schema-walk.ts'

const rootUri = 'https://schema.invalid/root'

function resolveUri(reference: string, base: string): string | undefined {
  try {
    return new URL(reference, base).href
  } catch {
    return undefined
  }
}

/** Finds what the references of one schema point to, within that schema. */
export interface References {
  /** What `reference`, written in `node`, points to; undefined when it is not in this schema, or no schema. */
  resolve(node: JsonObject, reference: string): JsonSchema | undefined
}

/**
 * Reads identifiers (`$id`, `id`, anchors) of a schema and its parts, any draft.
 *
 * @see JSON Schema 2020-12 core, section 8.2
 */
export function readReferences(root: JsonObject): References {
  const bases = new Map<JsonObject, string>()
  const documents = new Map<string, JsonObject>([[rootUri, root]])
  const anchors = new Map<string, JsonObject>()

  const todo: { node: JsonObject; base: string }[] = [{ node: root, base: rootUri }]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { node, base } = next
    if (bases.has(node)) continue
    const id = typeof node.$id === 'string' ? node.$id : node.id
    let own = base
    if (typeof id === 'string' && id.startsWith('#')) anchors.set(base + id, node)
    else if (typeof id === 'string') {
      own = resolveUri(id.split('#')[0] as string, base) ?? base
      documents.set(own, node)
    }
    bases.set(node, own)
    for (const anchor of [node.$anchor, node.$dynamicAnchor]) {
      if (typeof anchor === 'string') anchors.set(`${own}#${anchor}`, node)
    }
    eachSubschema(node, (subschema) => todo.push({ node: subschema, base: own }))
  }

  return {
    resolve(node, reference) {
      const uri = resolveUri(reference, bases.get(node) ?? rootUri)
      if (uri === undefined) return undefined
      const [address = '', fragment = ''] = uri.split('#')
      const document = documents.get(address)
      if (document === undefined) return undefined
      if (fragment !== '' && !fragment.startsWith('/')) return anchors.get(uri)
      const found = follow(document, fragment)
      if (isJsonObject(found) && !bases.has(found)) bases.set(found, address)
      return found
    },
  }
}

function follow(document: JsonObject, fragment: string): JsonSchema | undefined {
  let tokens: string[] | undefined
  try {
    tokens = parsePointer(decodeURIComponent(fragment))
  } catch {
    return undefined
  }
  let current: unknown = document
  for (const token of tokens ?? []) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, token)) {
      return undefined
    }
    current = (current as Record<string, unknown>)[token]
  }
  return isJsonObject(current) || typeof current === 'boolean' ? current : undefined
}
