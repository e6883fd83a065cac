import type { Json, JsonObject } from '../core/json.ts'

/** A JSON Schema: draft-04, 06, 07, 2019-09 or 2020-12. */
export type JsonSchema = boolean | JsonObject

export type ContractStatus = 'draft' | 'active' | 'deprecated'
export type PatternStyle = 'pub-sub' | 'request-reply' | 'fire-and-forget' | 'batch' | 'stream'
export interface Pattern {
  readonly style: PatternStyle
  readonly timing: 'sync' | 'async'
  readonly initiative: 'push' | 'pull'
}
export type EnvelopeKind =
  | 'treaty'
  | 'integration'
  | 'cloudevents-structured'
  | 'cloudevents-binary'
  | 'none'
export type Ordering = 'none' | 'per-key' | 'per-channel'

/** A person or team that answers for something. */
export interface Owner {
  readonly team: string
  readonly contact?: string
  readonly oncall?: string
}

/** The agreed place where messages travel: a topic, subject or queue. */
export interface Channel {
  readonly name: string
  readonly address: string
  /** Dotted path into `data`; its value is the partition key. */
  readonly key?: string
  readonly ordering: Ordering
  /** How long messages stay readable after they were handled; absent: until every consumer is done. */
  readonly retentionMs?: number
  /** True when other channels may use the same address. */
  readonly shared?: boolean
  readonly bindings: Readonly<Record<string, JsonObject>>
}

export interface Deprecation {
  readonly since: string
  /** Date (YYYY-MM-DD) from which publishing is refused. */
  readonly sunset?: string
  readonly use?: string
}

export interface Example {
  readonly file?: string
  readonly value: Json
}

/** A message type that tells that something has happened. */
export interface EventDefinition {
  readonly name: string
  /** Name of its channel. */
  readonly channel: string
  readonly purpose: string
  /** Schema of `data` alone; self-contained: every reference in it is local. */
  readonly schema: JsonSchema
  readonly schemaFile?: string
  /** `$id` that the schema had where it came from: a name, by which registries find it. */
  readonly schemaId?: string
  readonly examples: readonly Example[]
  readonly deprecated?: Deprecation
}

/** A message type that asks one handler to do something, and gets a reply or a typed error. */
export interface CommandDefinition {
  readonly name: string
  readonly channel: string
  readonly purpose: string
  readonly schema: JsonSchema
  readonly schemaFile?: string
  /** `$id` that the schema had where it came from: a name, by which registries find it. */
  readonly schemaId?: string
  readonly reply?: JsonSchema
  readonly errors: Readonly<Record<string, JsonSchema>>
  readonly timeoutMs: number
  /** Name of the service that handles it. */
  readonly handler: string
  readonly examples: readonly Example[]
  readonly deprecated?: Deprecation
}

/** Attempts include the first. */
export interface RetryPolicy {
  readonly attempts: number
  readonly baseMs: number
  readonly factor: number
  readonly capMs: number
  readonly jitter: 'full' | 'none'
}

export interface Producer {
  readonly name: string
  readonly onInvalid: 'reject' | 'dead-letter'
  /** Names of the events and commands it may send; absent: all. */
  readonly events?: readonly string[]
}

export interface DeadLetterPolicy {
  readonly address: string
  readonly retentionMs: number
  readonly owner?: string
  /** What the later messages of the same key do: go on, or wait for replay or discard. */
  readonly onDead: 'next' | 'block'
  /** What happens to a message whose time to live has passed. */
  readonly onExpired: 'dead-letter' | 'drop'
}

export interface ConsumedEvent {
  /** Dotted paths into `data`, or a schema file's content: what the consumer reads. */
  readonly needs: readonly string[]
  readonly needsSchema?: JsonSchema
  readonly handling?: string
}

export interface Consumer {
  readonly name: string
  readonly kind: 'service' | 'agent'
  readonly owner?: Owner
  /** Semantic version range of the contract that it is deployed for. */
  readonly accepts: string
  readonly since?: string
  readonly events: Readonly<Record<string, ConsumedEvent>>
  readonly start: 'earliest' | 'latest'
  /** `key`: dotted path into the message (`id`, or `data.orderId`). */
  readonly idempotency?: { readonly key: string; readonly windowMs: number }
  readonly retry: RetryPolicy
  readonly deadLetter: DeadLetterPolicy
  /** `{ processing: { p99Ms: 30000 }, lag: { maxMs: 120000 } }`, each part optional. */
  readonly sla?: JsonObject
  /** Not deployed yet: reported, never blocks, owns no durable group until it first connects. */
  readonly pending: boolean
}

export interface Upcast {
  readonly event: string
  readonly from: string
  readonly to: string
  readonly jsonata: string
}

export interface Evolution {
  readonly policy: 'strict' | 'evolvable' | 'confluent-strict' | 'confluent-lenient'
  readonly mode: string
  readonly upcast: readonly Upcast[]
}

export interface Sla {
  readonly delivery?: 'at-most-once' | 'at-least-once' | 'effect-once'
  readonly mechanism?: string
  readonly latency?: { readonly percentile: number; readonly withinMs: number }
  /** `target` is a percentage, above 0, at most 100. */
  readonly availability?: { readonly target: number; readonly windowMs: number }
}

export interface Waiver {
  readonly rule: string
  readonly at?: string
  readonly reason: string
  readonly approvedBy: string
  readonly expires: string
}
export interface Review {
  readonly consumer: string
  readonly by: string
  readonly at: string
  readonly digest: string
}

/**
 * What systems have agreed: one owner, N consumers. Defaults are filled in, durations are
 * milliseconds, schemas are loaded; nothing here points outside itself.
 */
export interface Contract {
  readonly id: string
  /** Semantic version of the contract. */
  readonly version: string
  readonly status: ContractStatus
  readonly purpose: string
  readonly design?: string
  readonly owner?: Owner
  readonly pattern: Pattern
  readonly envelope: EnvelopeKind
  readonly channels: Readonly<Record<string, Channel>>
  readonly events: Readonly<Record<string, EventDefinition>>
  readonly commands: Readonly<Record<string, CommandDefinition>>
  readonly evolution: Evolution
  readonly producers: Readonly<Record<string, Producer>>
  readonly consumers: Readonly<Record<string, Consumer>>
  readonly sla: Sla
  readonly gate: { readonly block: readonly string[]; readonly waivers: readonly Waiver[] }
  readonly reviews: readonly Review[]
  /** The file it was read from; absent for `defineContract`. */
  readonly file?: string
}

/** Identifies one contract as types: what `treaty gen` writes and `defineContract` infers. */
export interface ContractTypes {
  /** Event name → type of its data. */
  events: Record<string, unknown>
  /** Command name → its data, reply and errors. */
  commands: Record<string, { data: unknown; reply: unknown; errors: Record<string, unknown> }>
  /** Consumer name → names of the events it listens to. */
  consumers: Record<string, string>
}
