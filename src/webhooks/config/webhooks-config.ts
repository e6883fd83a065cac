import type { SchemeName } from '../scheme.ts'

/** `webhooks:` of a configuration. Durations are `5s`, shares `20%`, rates `10/s`, sizes `512KiB`; secrets by reference. */
export interface WebhooksConfig {
  /** Neighbours that send webhooks, by name. */
  readonly sources?: Readonly<Record<string, SourceConfig>>
  readonly sender?: SenderConfig
  /** Where webhooks are sent to, by id. */
  readonly endpoints?: Readonly<Record<string, EndpointConfig>>
}

/** One neighbour that sends webhooks. */
export interface SourceConfig {
  /** Default `/hooks/` and the name. */
  readonly path?: string
  /** `unsigned` only where something else protects the path. */
  readonly verify: 'unsigned' | VerifyConfig
  /** An event of a contract, or where its name is to be found. Either this or `handle`. */
  readonly event?: string | EventConfig
  /** Where in the body the event's data is: a dotted path. Default: the whole body. */
  readonly data?: string
  /** Module whose export `map(delivery)` makes the event's data. */
  readonly map?: string
  /** Synchronous mode: module whose export `handle(delivery, { signal })` gives the answer. */
  readonly handle?: string
  /** The producer in whose name it is published. Default: the name of the source. */
  readonly as?: string
  readonly onInvalid?: 'quarantine' | 'reject'
  readonly handshakes?: readonly HandshakeConfig[]
  readonly dedupe?: {
    readonly by?: 'claims' | 'bus'
    readonly window?: string
    /** After how long the claim of a crashed process is free again. Default 60 s. */
    readonly lease?: string
    /** Another key than the delivery's id. */
    readonly key?: FieldConfig
  }
  readonly limits?: {
    readonly body?: string | number
    readonly bodyTime?: string
    readonly rate?: string
    readonly burst?: number
    readonly concurrent?: number
    /** How long `handle` may take. */
    readonly handle?: string
    readonly contentTypes?: readonly string[]
  }
  /** Whether the provider's bytes are kept beside an event that is made of them. Default true. */
  readonly keepBytes?: boolean
  /** Of a delivery that was taken. Default 200. */
  readonly status?: 200 | 201 | 202 | 204
}

/** How the deliveries of a source are verified. */
export interface VerifyConfig {
  readonly scheme: SchemeName | Readonly<Record<string, unknown>>
  /** All that are valid now: the new and the old one while a secret is changed. */
  readonly secrets: string | readonly string[]
  readonly tolerance?: string
  /** The URL as the provider calls it, for schemes that sign it. */
  readonly publicUrl?: string
}

/** A header, or a dotted path into the body. */
export interface FieldConfig {
  readonly header?: string
  readonly field?: string
}

/** How the event is found: `prefix` and the value of the field, or what `map` says of it. */
export interface EventConfig extends FieldConfig {
  readonly prefix?: string
  readonly map?: Readonly<Record<string, string>>
  /** What becomes of a delivery that is no event. Default `ignore` with `map`, else `quarantine`. */
  readonly otherwise?: 'ignore' | 'quarantine'
}

/** A question that a provider asks before it sends, and how it is answered. */
export interface HandshakeConfig {
  readonly kind: string
  readonly verifyToken?: string
  readonly origins?: readonly string[]
  readonly ratePerMinute?: number
  readonly parameter?: string
  readonly when?: readonly string[]
  readonly echo?: string
}

/** How webhooks are sent; defaults as in `createSender`. */
export interface SenderConfig {
  readonly name?: string
  /** Consumers of contracts whose messages go out. */
  readonly consumers?: string | readonly string[]
  readonly schedule?: readonly string[]
  readonly jitter?: string
  readonly timeout?: string
  readonly overloadDelay?: string
  readonly concurrency?: number
  readonly disable?: {
    readonly failingFor?: string
    readonly failures?: number
    readonly alertAt?: readonly string[]
  }
  readonly egress?: {
    readonly https?: 'required' | 'optional'
    readonly privateNetworks?: 'deny' | 'allow'
    readonly ports?: number | 'any' | readonly (number | 'any')[]
  }
  readonly body?: string | number
  readonly oversize?: 'thin' | 'refuse'
  /** Where receivers fetch what a thin event stands for; `{id}` is the message. */
  readonly href?: string
  readonly verification?: 'none' | 'challenge' | 'cloudevents'
  readonly origin?: string
  readonly secretOverlap?: string
  readonly retention?: string
  readonly sealKey?: string
}

/** One target of outgoing webhooks. */
export interface EndpointConfig {
  readonly url: string
  readonly events?: string | readonly string[]
  /** A condition in CEL. */
  readonly filter?: string
  /** Default: a new one, which `treaty webhook endpoint rotate` prints. */
  readonly secret?: string
  readonly algorithm?: 'hmac-sha256' | 'ed25519'
  readonly order?: 'none' | 'key' | 'fifo'
  readonly onExhausted?: 'skip' | 'stop'
  readonly rate?: string
  readonly concurrency?: number
  readonly schedule?: readonly string[]
  readonly timeout?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly description?: string
}
