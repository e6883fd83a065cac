import type { JsonObject } from '../../core/json.ts'

/** A schema that another one uses by name. */
export interface SchemaReference {
  /** As `$ref` names it. */
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** A schema as it is handed in. */
export interface SchemaInput {
  readonly schema: string
  /** Default `AVRO`, as the protocol has it; only `JSON` is kept here. */
  readonly schemaType?: string
  readonly references?: readonly SchemaReference[]
  /** Kept and given back; nothing is read into them. */
  readonly metadata?: JsonObject
  readonly ruleSet?: JsonObject
  /** Given by the client, where the mode is `IMPORT`. */
  readonly id?: number
  readonly version?: number
}

/** What is kept of a schema, under the digest of its meaning. */
export interface KeptSchema {
  readonly schema: string
  readonly schemaType: 'JSON'
  readonly references: readonly SchemaReference[]
  readonly metadata?: JsonObject
  readonly ruleSet?: JsonObject
}

/** A version of a subject, with its schema. */
export interface SubjectVersion extends KeptSchema {
  readonly subject: string
  readonly version: number
  /** The same for the same schema, within one context. */
  readonly id: number
  /** The same for the same schema, everywhere. */
  readonly guid: string
  readonly deleted: boolean
}

/** A schema without a subject. */
export interface IdentifiedSchema extends KeptSchema {
  readonly id: number
  readonly guid: string
}

export const compatibilityLevels = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const
export type CompatibilityLevel = (typeof compatibilityLevels)[number]

export const modes = ['READWRITE', 'READONLY', 'READONLY_OVERRIDE', 'IMPORT', 'FORWARD'] as const
export type Mode = (typeof modes)[number]

/** Settings of everything, a context or a subject. Fields that are not looked at are kept and given back. */
export interface SubjectConfig {
  readonly compatibilityLevel?: CompatibilityLevel
  /** Which table of rules. */
  readonly compatibilityPolicy?: 'STRICT' | 'LENIENT'
  readonly normalize?: boolean
  readonly others?: JsonObject
}

/** Whether readers of one schema understand what writers of the other write. */
export interface SubjectJudge {
  /** What `read` refuses of what `written` permits, as sentences; empty when nothing. */
  refusals(
    written: ResolvedSchema,
    read: ResolvedSchema,
    policy: 'STRICT' | 'LENIENT',
  ): readonly string[]
}

/** A schema with what it refers to inside it. */
export type ResolvedSchema = boolean | JsonObject

/** What happened to subjects. Written once, never edited. */
export type SubjectChange =
  | {
      readonly kind: 'schema-registered'
      readonly by: string
      readonly subject: string
      readonly version: number
      readonly id: number
      readonly hash: string
      readonly references: readonly SchemaReference[]
    }
  | {
      readonly kind: 'versions-deleted'
      readonly by: string
      readonly subject: string
      readonly versions: readonly number[]
      readonly permanent: boolean
    }
  | {
      readonly kind: 'config-set'
      readonly by: string
      /** Empty: of everything. */
      readonly subject: string
      /** Null: removed. */
      readonly config: SubjectConfig | null
    }
  | {
      readonly kind: 'mode-set'
      readonly by: string
      readonly subject: string
      readonly mode: Mode | null
    }
