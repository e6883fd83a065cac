/** The drafts that are understood, oldest first. */
export type Draft = '04' | '06' | '07' | '2019-09' | '2020-12'

export const drafts = ['04', '06', '07', '2019-09', '2020-12'] as const satisfies readonly Draft[]

/** What a keyword's value must be. `schemas` is a list, `schemaMap` an object of schemas. */
export type Shape =
  | 'any'
  | 'number'
  | 'positive'
  | 'size'
  | 'boolean'
  | 'text'
  | 'regex'
  | 'names'
  | 'types'
  | 'list'
  | 'schema'
  | 'schemaOrBoolean'
  | 'schemas'
  | 'schemaOrSchemas'
  | 'schemaMap'
  | 'regexMap'
  | 'namesMap'
  | 'dependencies'
  | 'object'

interface Entry {
  readonly shape: Shape
  /** First draft that has it. */
  readonly from: Draft
  /** Last draft that has it. */
  readonly to?: Draft
}

const entry = (shape: Shape, from: Draft = '04', to?: Draft): Entry =>
  to === undefined ? { shape, from } : { shape, from, to }

/**
 * The keywords of every draft (JSON Schema validation and core vocabularies). A keyword that a
 * draft lacks is an annotation there and asserts nothing. `dependencies` left the drafts in
 * 2019-09 and is still asserted by validators, so it is here too.
 */
export const keywords: Readonly<Record<string, readonly Entry[]>> = {
  $ref: [entry('text')],
  $recursiveRef: [entry('text', '2019-09', '2019-09')],
  $dynamicRef: [entry('text', '2020-12')],
  $schema: [entry('text')],
  $id: [entry('text', '06')],
  id: [entry('text', '04', '04')],
  $anchor: [entry('text', '2019-09')],
  $dynamicAnchor: [entry('text', '2020-12')],
  $recursiveAnchor: [entry('boolean', '2019-09', '2019-09')],
  $defs: [entry('schemaMap', '2019-09')],
  definitions: [entry('schemaMap')],
  $vocabulary: [entry('object', '2019-09')],
  type: [entry('types')],
  enum: [entry('list')],
  const: [entry('any', '06')],
  multipleOf: [entry('positive')],
  minimum: [entry('number')],
  maximum: [entry('number')],
  exclusiveMinimum: [entry('boolean', '04', '04'), entry('number', '06')],
  exclusiveMaximum: [entry('boolean', '04', '04'), entry('number', '06')],
  minLength: [entry('size')],
  maxLength: [entry('size')],
  pattern: [entry('regex')],
  format: [entry('text')],
  minItems: [entry('size')],
  maxItems: [entry('size')],
  uniqueItems: [entry('boolean')],
  items: [entry('schemaOrSchemas', '04', '2019-09'), entry('schema', '2020-12')],
  additionalItems: [entry('schemaOrBoolean', '04', '2019-09')],
  prefixItems: [entry('schemas', '2020-12')],
  contains: [entry('schema', '06')],
  minContains: [entry('size', '2019-09')],
  maxContains: [entry('size', '2019-09')],
  minProperties: [entry('size')],
  maxProperties: [entry('size')],
  required: [entry('names')],
  properties: [entry('schemaMap')],
  patternProperties: [entry('regexMap')],
  additionalProperties: [entry('schemaOrBoolean')],
  propertyNames: [entry('schema', '06')],
  dependencies: [entry('dependencies')],
  dependentRequired: [entry('namesMap', '2019-09')],
  dependentSchemas: [entry('schemaMap', '2019-09')],
  unevaluatedItems: [entry('schema', '2019-09')],
  unevaluatedProperties: [entry('schema', '2019-09')],
  allOf: [entry('schemas')],
  anyOf: [entry('schemas')],
  oneOf: [entry('schemas')],
  not: [entry('schema')],
  if: [entry('schema', '07')],
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited.
  then: [entry('schema', '07')],
  else: [entry('schema', '07')],
}

const byDraft = new Map<Draft, ReadonlyMap<string, Shape>>(
  drafts.map((draft, at) => {
    const shapes = new Map<string, Shape>()
    for (const [name, entries] of Object.entries(keywords)) {
      const found = entries.find(
        ({ from, to }) => drafts.indexOf(from) <= at && at <= drafts.indexOf(to ?? '2020-12'),
      )
      if (found !== undefined) shapes.set(name, found.shape)
    }
    return [draft, shapes]
  }),
)

/** Keyword → shape of its value, for one draft. */
export function shapesOf(draft: Draft): ReadonlyMap<string, Shape> {
  return byDraft.get(draft) as ReadonlyMap<string, Shape>
}

/** Drafts up to 07: `$ref` hides its siblings, `$id` with a bare fragment is an anchor. */
export const refHidesSiblings = (draft: Draft): boolean =>
  draft === '04' || draft === '06' || draft === '07'

/** The keyword that names a schema resource. */
export const idKeyword = (draft: Draft): '$id' | 'id' => (draft === '04' ? 'id' : '$id')

const metaSchemas: Readonly<Record<string, Draft>> = {
  'http://json-schema.org/draft-04/schema': '04',
  'http://json-schema.org/draft-06/schema': '06',
  'http://json-schema.org/draft-07/schema': '07',
  'https://json-schema.org/draft/2019-09/schema': '2019-09',
  'https://json-schema.org/draft/2020-12/schema': '2020-12',
}

/** The draft that a `$schema` names; undefined for meta-schemas that are not the drafts' own. */
export function draftOf(metaSchema: unknown): Draft | undefined {
  if (typeof metaSchema !== 'string') return undefined
  const plain = metaSchema.replace(/#$/, '')
  return (
    metaSchemas[plain] ??
    metaSchemas[
      plain.replace(/^https:\/\/json-schema\.org\/draft-/, 'http://json-schema.org/draft-')
    ]
  )
}

/** Reads `draft-07` and `draft-2020-12` too; undefined for anything else. */
export function parseDraft(name: string): Draft | undefined {
  const plain = name.replace(/^draft-?/i, '')
  return drafts.find((draft) => draft === plain || Number(draft) === Number(plain))
}
