import type { Json } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Draft } from '../schema/draft.ts'
import { draftOfUri } from '../schema/draft.ts'
import type { Resolver } from '../schema/reference.ts'
import { createResolver } from '../schema/reference.ts'
import type { Refusal, SchemaDocument, SchemaStore, SchemaTarget } from '../schema/schema-store.ts'
import { isRefusal } from '../schema/schema-store.ts'
import type { Path } from '../source/source.ts'
import type { DocumentNode } from './document-node.ts'
import { childOf, followNode, nodeAt } from './document-node.ts'
import { asyncApiDraft, draftOfFormat } from './schema-format.ts'

/** A schema of an AsyncAPI document, and the draft it is to be read as. */
export interface AsyncApiSchema {
  readonly target: SchemaTarget
  readonly draft: Draft
}

/** True for a document that says which version of AsyncAPI it is. */
export function isAsyncApi(value: Json): boolean {
  return isJsonObject(value) && typeof value.asyncapi === 'string'
}

/**
 * Where the JSON Schema of a payload is: behind its references, and inside a Multi Format Schema Object.
 *
 * @param format `schemaFormat` that stands beside the payload, as in AsyncAPI 2.
 */
export function schemaOfNode(
  resolver: Resolver,
  node: DocumentNode,
  format?: string,
): AsyncApiSchema | Refusal {
  const followed = followNode(resolver, node)
  if (isRefusal(followed)) return followed
  const { value } = followed
  const inner = isJsonObject(value) && typeof value.schemaFormat === 'string'
  const named = inner ? String((value as { schemaFormat?: Json }).schemaFormat) : format
  const draft = named === undefined ? asyncApiDraft : draftOfFormat(named)
  if (draft === undefined) {
    return {
      code: 'IMPORT_FORMAT_UNSUPPORTED',
      message: `the schema is in the format \`${named}\`, which is no JSON Schema`,
      hint: 'Describe the message in JSON Schema.',
    }
  }
  const {
    document,
    pointer,
    value: schema,
  } = inner ? (childOf(followed, 'schema') ?? followed) : followed
  const uri = isJsonObject(schema) ? schema.$schema : undefined
  const declared = typeof uri === 'string' ? draftOfUri(uri) : undefined
  return { target: { document, pointer }, draft: declared ?? draft }
}

/**
 * The schema that `asyncapi.yaml#/components/messages/OrderPlaced/payload` names. A pointer to a message means its payload.
 * Undefined where the document has nothing at the pointer.
 */
export function asyncApiSchemaAt(
  store: SchemaStore,
  document: SchemaDocument,
  pointer: Path,
): AsyncApiSchema | Refusal | undefined {
  const resolver = createResolver(store)
  const found = nodeAt(resolver, document, pointer)
  if (found === undefined || isRefusal(found)) return found
  const isMessage = pointer.at(-2) === 'messages'
  const payload = isMessage ? childOf(found, 'payload') : undefined
  const message = isMessage ? found : nodeAt(resolver, document, pointer.slice(0, -1))
  const beside =
    message &&
    !isRefusal(message) &&
    isJsonObject(message.value) &&
    (isMessage || pointer.at(-1) === 'payload')
      ? message.value.schemaFormat
      : undefined
  return schemaOfNode(resolver, payload ?? found, typeof beside === 'string' ? beside : undefined)
}
