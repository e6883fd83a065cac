/** A part of the meta-schema; it keeps to the keywords that `checkShape` knows. */
export interface MetaNode {
  readonly $ref?: string
  /** Names what is expected, in messages. */
  readonly title?: string
  readonly description?: string
  readonly type?: MetaType | readonly MetaType[]
  readonly const?: string | number
  readonly enum?: readonly (string | number)[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly items?: MetaNode
  readonly minItems?: number
  readonly properties?: Readonly<Record<string, MetaNode>>
  readonly required?: readonly string[]
  readonly additionalProperties?: MetaNode | boolean
  readonly propertyNames?: MetaNode
  readonly minProperties?: number
  /** Told apart by JSON type alone. */
  readonly anyOf?: readonly MetaNode[]
  readonly default?: string | number | boolean
}
export type MetaType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null'

/** A text. */
export const text = (description: string): MetaNode => ({ type: 'string', description })
/** A map of known keys and no others. */
export const closed = (
  description: string,
  properties: Readonly<Record<string, MetaNode>>,
  required: readonly string[] = [],
): MetaNode => ({
  type: 'object',
  description,
  properties,
  ...(required.length > 0 ? { required } : {}),
  additionalProperties: false,
})
/** A reference to a definition. */
export const ref = (name: string, description?: string): MetaNode => ({
  $ref: `#/$defs/${name}`,
  ...(description === undefined ? {} : { description }),
})
/** A map by name. */
export const mapOf = (description: string, value: MetaNode, minProperties?: number): MetaNode => ({
  type: 'object',
  description,
  propertyNames: ref('name'),
  additionalProperties: value,
  ...(minProperties === undefined ? {} : { minProperties }),
})
