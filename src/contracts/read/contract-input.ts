import type { FromSchema, JSONSchema } from 'json-schema-to-ts'
import type { ContractStatus, EnvelopeKind, Ordering, PatternStyle } from '../model.ts'

/**
 * A schema of another library that can give JSON Schema: zod 4, arktype, valibot through `toStandardJsonSchema`.
 *
 * @see https://standardschema.dev/json-schema
 */
export interface StandardSchema<Data = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: { readonly input: Data; readonly output: unknown } | undefined
    readonly jsonSchema?: {
      readonly input: (options: never) => Record<string, unknown>
      readonly output: (options: never) => Record<string, unknown>
    }
  }
}

/** A JSON Schema literal, a schema of another library, or a file relative to the working directory. */
export type SchemaInput = JSONSchema | StandardSchema | string

export interface OwnerInput {
  readonly team: string
  readonly contact?: string
  readonly oncall?: string
}
export interface ChannelInput {
  readonly address: string
  readonly key?: string
  readonly ordering?: Ordering
  /** A duration such as `14d`. */
  readonly retention?: string
  readonly shared?: boolean
  readonly bindings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}
export interface DeprecationInput {
  readonly since: string
  readonly sunset?: string
  readonly use?: string
}
export interface EventInput {
  readonly channel: string
  readonly purpose: string
  readonly schema: SchemaInput
  readonly examples?: string | readonly unknown[]
  readonly deprecated?: DeprecationInput
}
export interface CommandInput {
  readonly channel: string
  readonly purpose?: string
  readonly schema: SchemaInput
  readonly reply?: SchemaInput
  readonly errors?: Readonly<Record<string, SchemaInput>>
  readonly timeout?: string
  readonly handler: string
  readonly examples?: string | readonly unknown[]
  readonly deprecated?: DeprecationInput
}
export interface ConsumerInput {
  readonly kind?: 'service' | 'agent'
  readonly owner?: OwnerInput
  readonly accepts: string
  readonly since?: string
  readonly events: Readonly<
    Record<string, { readonly needs?: readonly string[] | SchemaInput; readonly handling?: string }>
  >
  readonly start?: 'earliest' | 'latest'
  readonly idempotency?: { readonly key: string; readonly window: string }
  readonly retry?: {
    readonly attempts?: number
    readonly base?: string
    readonly factor?: number
    readonly cap?: string
    readonly jitter?: 'full' | 'none'
  }
  readonly deadLetter?: {
    readonly address?: string
    readonly retention?: string
    readonly owner?: string
    readonly onDead?: 'next' | 'block'
    readonly onExpired?: 'dead-letter' | 'drop'
  }
  readonly sla?: {
    readonly processing?: Readonly<Partial<Record<'p50' | 'p90' | 'p95' | 'p99' | 'p999', string>>>
    readonly lag?: { readonly max: string }
  }
  readonly pending?: boolean
}

/** A contract written in code: the keys and texts of the YAML file, with schemas as values. */
export interface ContractInput {
  readonly treaty?: 1
  readonly id: string
  readonly version: string
  readonly status?: ContractStatus
  readonly purpose: string
  readonly design?: string
  readonly owner?: OwnerInput
  readonly pattern?:
    | PatternStyle
    | {
        readonly style: PatternStyle
        readonly timing?: 'sync' | 'async'
        readonly initiative?: 'push' | 'pull'
      }
  readonly envelope?: EnvelopeKind | 'cloudevents'
  readonly channels: Readonly<Record<string, ChannelInput>>
  readonly events?: Readonly<Record<string, EventInput>>
  readonly commands?: Readonly<Record<string, CommandInput>>
  readonly evolution?: {
    readonly policy?: 'strict' | 'evolvable' | 'confluent-strict' | 'confluent-lenient'
    readonly mode?: string
    readonly upcast?: readonly {
      readonly event: string
      readonly from: string
      readonly to: string
      readonly jsonata: string
    }[]
  }
  readonly producers: Readonly<
    Record<
      string,
      { readonly onInvalid?: 'reject' | 'dead-letter'; readonly events?: readonly string[] }
    >
  >
  readonly consumers?: Readonly<Record<string, ConsumerInput>>
  readonly sla?: {
    readonly delivery?: 'at-most-once' | 'at-least-once' | 'effect-once'
    readonly mechanism?: string
    readonly latency?: { readonly percentile: number; readonly within: string }
    readonly availability?: { readonly target: string | number; readonly window: string }
  }
  readonly gate?: {
    readonly block?: readonly string[]
    readonly waivers?: readonly {
      readonly rule: string
      readonly at?: string
      readonly reason: string
      readonly approvedBy: string
      readonly expires: string
    }[]
  }
  readonly reviews?: readonly {
    readonly consumer: string
    readonly by: string
    readonly at: string
    readonly digest: string
  }[]
}

/** Drops the open index that JSON Schema objects have by default, so that a misspelt field is a type error. */
type Closed<T> = T extends readonly unknown[]
  ? { [K in keyof T]: Closed<T[K]> }
  : T extends object
    ? string extends keyof T
      ? unknown extends T[string & keyof T]
        ? KnownKeys<T> extends never
          ? T
          : { [K in keyof T as string extends K ? never : K]: Closed<T[K]> }
        : { [K in keyof T]: Closed<T[K]> }
      : { [K in keyof T]: Closed<T[K]> }
    : T

type KnownKeys<T> = keyof { [K in keyof T as string extends K ? never : K]: true }

/** The type of the data that a schema describes, as its producer writes it; `unknown` where types cannot tell. */
export type DataOf<S> = S extends { readonly '~standard': { readonly types?: infer Types } }
  ? NonNullable<Types> extends { readonly input: infer Data }
    ? Data
    : unknown
  : S extends string
    ? unknown
    : S extends JSONSchema
      ? Closed<FromSchema<S>>
      : unknown

type EventsOf<C> = C extends { readonly events: infer E }
  ? {
      [Name in keyof E & string]: E[Name] extends { readonly schema: infer S } ? DataOf<S> : unknown
    }
  : Record<never, never>

type ErrorsOf<C> = C extends { readonly errors: infer E }
  ? { [Name in keyof E & string]: DataOf<E[Name]> }
  : Record<never, never>

type CommandsOf<C> = C extends { readonly commands: infer E }
  ? {
      [Name in keyof E & string]: {
        data: E[Name] extends { readonly schema: infer S } ? DataOf<S> : unknown
        reply: E[Name] extends { readonly reply: infer S } ? DataOf<S> : undefined
        errors: ErrorsOf<E[Name]>
      }
    }
  : Record<never, never>

/**
 * One consumer's type at a time, then all of them together: read through a mapped type, a name that is still being
 * inferred would leave the condition open, and the handlers of `bus.consume` without the types of their parameters.
 */
type ConsumersOf<C> = C extends { readonly consumers: infer E }
  ? Together<
      {
        [Name in keyof E & string]: {
          [Only in Name]: E[Name] extends { readonly events: infer L } ? keyof L & string : never
        }
      }[keyof E & string]
    >
  : Record<never, never>
type Together<U> = (U extends unknown ? (item: U) => void : never) extends (item: infer I) => void
  ? I
  : never

/** Events, commands and consumers of a contract written in code, as types. */
export interface TypesOf<C> {
  events: EventsOf<C>
  commands: CommandsOf<C>
  consumers: ConsumersOf<C>
}
