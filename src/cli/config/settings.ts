import type { Profile } from '../../contracts/index.ts'
import type { ConnectorConfig } from '../../http/index.ts'
import type { OutboxOptions } from '../../messaging/index.ts'
import type { WebhooksConfig } from '../../webhooks/index.ts'

/** A program of this project that `start` and `dev` run as a process of its own. */
export interface ServiceSettings {
  readonly name: string
  /** Run by /bin/sh -c; either this or `module`. */
  readonly command?: string
  /** Absolute path of a module that Node runs. */
  readonly module?: string
  readonly args: readonly string[]
  /** Added to the environment; secret references are still unresolved. */
  readonly env: Readonly<Record<string, string>>
  /** Default `on-failure`. */
  readonly restart: 'always' | 'on-failure' | 'never'
  /** Absolute. Default: the folder of the configuration file. */
  readonly cwd: string
}

/** A module that exports `run` and brings messages in from outside. */
export interface FeedSettings {
  readonly name: string
  /** Absolute. */
  readonly module: string
  /** The producer that it speaks for. */
  readonly as?: string
}

/** An API key as configured: by secret reference, or as a digest. */
export interface KeySettings {
  readonly name: string
  readonly scopes: readonly ('read' | 'write' | 'metrics')[]
  /** `secret://env/NAME` or `secret://file/PATH`. */
  readonly key?: string
  /** SHA-256 of the key, in hex. */
  readonly sha256?: string
}

/** A registry in whose wire format messages travel. */
export interface SchemaRegistrySettings {
  readonly url: string
  readonly auth?: { readonly user: string; readonly password: string } | { readonly token: string }
  readonly subject?: 'topic' | 'record' | 'topic-record'
  readonly register?: boolean
  readonly timeoutMs?: number
}

/** The merged configuration: flags > environment > file > defaults. Secret references are still unresolved. */
export interface Settings {
  /** The configuration file, absolute; absent when there is none. */
  readonly file?: string
  /** Folder of the configuration file, else the working directory; absolute. */
  readonly folder: string
  /** Absolute files or folders; those of packs too. */
  readonly contracts: readonly string[]
  /** URL; the path of an embedded one is absolute. */
  readonly transport: string
  /** Absent: beside the embedded broker. */
  readonly store?: string
  /** Where messages of one's own transactions wait; its URL is absolute, or absent: the database of the transport. */
  readonly outbox?: OutboxOptions
  /** Where effects are remembered. */
  readonly inbox?: { readonly url: string }
  /** Secret references are still unresolved. */
  readonly schemaRegistry?: SchemaRegistrySettings
  readonly service?: string
  readonly profile: Profile
  /** Absolute paths of modules whose exports are handlers by consumer. */
  readonly handlers: readonly string[]
  /** Modules that bring messages in from outside. */
  readonly feeds: readonly FeedSettings[]
  readonly services: readonly ServiceSettings[]
  readonly server: {
    readonly port: number
    readonly host: string
    readonly keys: readonly KeySettings[]
    readonly allowedHosts: readonly string[]
    /** How often one caller may ask; absent: the server's default. */
    readonly rateLimit?: { readonly perSecond: number; readonly burst?: number }
  }
  /** Secret references are still unresolved; paths are meant from `folder`. */
  readonly connectors?: Readonly<Record<string, ConnectorConfig>>
  /** Secret references are still unresolved; paths are meant from `folder`. */
  readonly webhooks?: WebhooksConfig
  readonly limits: {
    readonly messageBytesMax?: number
    readonly drainMs?: number
    readonly leaseMs?: number
  }
  /** Event name → what `start` and `dev` print when one is published: fields of the data in braces. */
  readonly show: Readonly<Record<string, string>>
  /** Number of settings that the file gives, for people. */
  readonly fileSettings: number
}
