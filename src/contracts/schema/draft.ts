import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'

/** A version of JSON Schema. */
export type Draft = '04' | '06' | '07' | '2019-09' | '2020-12'
/** Every version that is understood, oldest first. */
export const drafts: readonly Draft[] = ['04', '06', '07', '2019-09', '2020-12']

const schemaUri =
  /^https?:\/\/json-schema\.org\/(?:draft-(0[467])|draft\/(2019-09|2020-12))\/schema#?$/

/** The version that a `$schema` names; undefined for any other text. */
export function draftOfUri(uri: string): Draft | undefined {
  const match = schemaUri.exec(uri)
  return match ? ((match[1] ?? match[2]) as Draft) : undefined
}

/** The version that a schema says it is written in; 2020-12 where it does not say, or names an unknown one. */
export function draftOf(schema: JsonSchema): Draft {
  const uri = isJsonObject(schema) ? schema.$schema : undefined
  return (typeof uri === 'string' ? draftOfUri(uri) : undefined) ?? '2020-12'
}

/** The `$schema` of a version. */
export function uriOfDraft(draft: Draft): string {
  return draft.startsWith('20')
    ? `https://json-schema.org/draft/${draft}/schema`
    : `http://json-schema.org/draft-${draft}/schema#`
}

/** True where `$ref` hides its siblings and `unevaluated*` does not exist yet: up to draft-07. */
export function isOldDraft(draft: Draft): boolean {
  return !draft.startsWith('20')
}
