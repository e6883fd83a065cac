import type { Draft } from '../schema/draft.ts'

const jsonSchemaFormat = /^application\/schema\+(?:json|yaml);\s*version=(?:draft-)?([0-9-]+)$/
const asyncApiFormat =
  /^application\/vnd\.aai\.asyncapi(?:\+(?:json|yaml))?(?:;\s*version=[0-9.]+)?$/

const draftNames: Readonly<Record<string, Draft>> = {
  '04': '04',
  '06': '06',
  '07': '07',
  '2019-09': '2019-09',
  '2020-12': '2020-12',
}

/** The draft of an AsyncAPI Schema Object, which is a superset of it. */
export const asyncApiDraft: Draft = '07'

/**
 * The draft that a `schemaFormat` of AsyncAPI names; undefined for formats that are no JSON Schema, such as Avro.
 *
 * @see AsyncAPI 3.1, "Schema formats table"
 */
export function draftOfFormat(format: string): Draft | undefined {
  if (asyncApiFormat.test(format)) return asyncApiDraft
  const name = jsonSchemaFormat.exec(format)?.[1]
  return name !== undefined && Object.hasOwn(draftNames, name) ? draftNames[name] : undefined
}

/** The `schemaFormat` of a draft. */
export function formatOfDraft(draft: Draft): string {
  return `application/schema+json;version=draft-${draft}`
}
