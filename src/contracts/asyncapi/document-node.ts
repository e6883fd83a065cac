import type { Json } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Resolver } from '../schema/reference.ts'
import type { Refusal, SchemaDocument } from '../schema/schema-store.ts'
import { isRefusal } from '../schema/schema-store.ts'
import type { Path } from '../source/source.ts'

/** A value and where it stands: Reference Objects on the way to it were followed, also into other files. */
export interface DocumentNode {
  readonly document: SchemaDocument
  readonly pointer: Path
  readonly value: Json
}

/** References that may follow one another before it is taken for a circle. */
const hopsMax = 64

/** What a node names one thing by, however it was reached. */
export function identityOf({ document, pointer }: DocumentNode): string {
  return `${document.id}#${pointer.join('/')}`
}

/** The node itself, or what its `$ref` leads to in the end. */
export function followNode(resolver: Resolver, node: DocumentNode): DocumentNode | Refusal {
  let current = node
  for (let hops = 0; hops < hopsMax; hops += 1) {
    const { value, document } = current
    if (!isJsonObject(value) || typeof value.$ref !== 'string') return current
    const target = resolver.resolve(value.$ref, document, resolver.baseOf(document, []))
    if (isRefusal(target)) return target
    const found = walk(resolver, target.document, target.pointer)
    if (found === undefined) {
      return {
        code: 'REF_NOT_FOUND',
        message: `\`${value.$ref}\` leads nowhere`,
        hint: 'Check the reference: the file has nothing at this place.',
      }
    }
    if (isRefusal(found)) return found
    current = found
  }
  return {
    code: 'REF_CYCLE',
    message: 'the reference leads back to itself',
    hint: 'Break the circle: one of them must say what is meant.',
  }
}

function walk(
  resolver: Resolver,
  document: SchemaDocument,
  pointer: Path,
): DocumentNode | Refusal | undefined {
  let current: DocumentNode = { document, pointer: [], value: document.value }
  for (const [at, step] of pointer.entries()) {
    const next = childOf(current, step)
    if (next === undefined) return undefined
    if (at === pointer.length - 1) return next
    // A pointer may lead through a reference, as `#/channels/orders/messages/placed` does.
    const followed = isDirect(next, pointer, at) ? next : followNode(resolver, next)
    if (isRefusal(followed)) return followed
    current = followed
  }
  return current
}

/** True where the next step stands in the value as written. */
function isDirect({ value }: DocumentNode, pointer: Path, at: number): boolean {
  const next = pointer[at + 1]
  return isJsonObject(value) && next !== undefined && Object.hasOwn(value, next)
}

/** The value under a key or index, as written; undefined where there is none. */
export function childOf(
  { document, pointer, value }: DocumentNode,
  step: string | number,
): DocumentNode | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
  const child = (value as Record<string, Json | undefined>)[step]
  return child === undefined ? undefined : { document, pointer: [...pointer, step], value: child }
}

/** The node at a pointer of a document, with references followed on the way and at its end; undefined: nothing is there. */
export function nodeAt(
  resolver: Resolver,
  document: SchemaDocument,
  pointer: Path,
): DocumentNode | Refusal | undefined {
  const found = walk(resolver, document, pointer)
  return found === undefined || isRefusal(found) ? found : followNode(resolver, found)
}
