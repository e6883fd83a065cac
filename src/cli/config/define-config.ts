import type { ConnectorConfig } from '../../http/index.ts'
import type { WebhooksConfig } from '../../webhooks/index.ts'

/** A configuration as `treaty.config.ts` gives it; the keys are those of `treaty.config.yaml`. Paths are meant from its folder. */
export interface Config {
  /** Contract files, folders, or `pack:NAME`. Default `./contracts`. */
  readonly contracts?: string | readonly string[]
  /** Default `sqlite:./treaty.db`. Secrets by reference: `postgres://app:secret://env/DB_PASSWORD@db/app`. */
  readonly transport?: string
  /** Default: beside the embedded broker. */
  readonly store?: string
  /** Messages in the transactions of your own database: where they wait, and whether `start` and `dev` send them. */
  readonly outbox?: {
    /** `postgres://…` or `sqlite:FILE`. Default: the database of the transport, where that is one. */
    readonly url?: string
    /** Default true. False: `treaty outbox relay` or another process sends. */
    readonly relay?: boolean
    /** Failures of one message after which it is parked; default 10. */
    readonly failuresMax?: number
    /** What the later messages of the same key do then; default `next`. */
    readonly onParked?: 'next' | 'block'
  }
  /** The database in which the effects of `context.commit` are made and remembered, where that is another than the broker's. */
  readonly inbox?: { readonly url: string }
  /** Messages carry the id of their schema in the Confluent wire format, on channels of contracts with the envelope `none`. */
  readonly schemaRegistry?: {
    readonly url: string
    /** Secrets by reference. */
    readonly auth?:
      | { readonly user: string; readonly password: string }
      | { readonly token: string }
    /** Default `topic`. */
    readonly subject?: 'topic' | 'record' | 'topic-record'
    /** A schema that the registry does not have is registered; default true. */
    readonly register?: boolean
    /** For one call; default `10s`. */
    readonly timeout?: string
  }
  /** Name of the producer that this project speaks for. */
  readonly service?: string
  readonly profile?: 'default' | 'seed-compat' | 'strict-ids'
  /** Modules that export `handlers`: by consumer, then by event. */
  readonly handlers?: string | readonly string[]
  /** Modules that export `run` and bring messages in from outside, each speaking `as` a producer. */
  readonly feeds?: Readonly<Record<string, { readonly module: string; readonly as?: string }>>
  /** What `start` and `dev` print of an event, by event name: text with fields of the data in braces. */
  readonly show?: Readonly<Record<string, string>>
  /** Programs of their own, started and kept running by `treaty start` and `treaty dev`. */
  readonly services?: Readonly<
    Record<
      string,
      {
        readonly command?: string
        readonly module?: string
        readonly args?: readonly string[]
        readonly env?: Readonly<Record<string, string>>
        /** Default `on-failure`. */
        readonly restart?: 'always' | 'on-failure' | 'never'
        readonly cwd?: string
      }
    >
  >
  readonly server?: {
    /** Default 4400. */
    readonly port?: number
    /** Default `127.0.0.1`; another needs `keys`. */
    readonly host?: string
    readonly allowedHosts?: string | readonly string[]
    /** How often one caller may ask, by its key or its address: `100/s`. Default `1000/s`, and twice that at once. */
    readonly rateLimit?: { readonly rate: string; readonly burst?: number }
    readonly keys?: readonly {
      readonly name: string
      readonly scopes: readonly ('read' | 'write' | 'metrics')[]
      /** A secret reference; never the key itself. */
      readonly key?: string
      readonly sha256?: string
    }[]
  }
  /** Neighbour systems that are called, by name. */
  readonly connectors?: Readonly<Record<string, ConnectorConfig>>
  /** Webhooks that come in, and webhooks that go out. */
  readonly webhooks?: WebhooksConfig
  readonly limits?: {
    /** Bytes; default 1 MiB. */
    readonly messageBytesMax?: number
    /** How long a shutdown waits for what has begun; default `30s`. */
    readonly drain?: string
    /** After how long the work of a process that went silent is handed on; default `30s`. */
    readonly lease?: string
  }
}

/** Gives types to a configuration in the editor: `export default defineConfig({ … })`. Checked when it is loaded. */
export function defineConfig(config: Config): Config {
  return config
}
