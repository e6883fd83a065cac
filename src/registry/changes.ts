import type { ContractStatus, Deprecation, Owner } from '../contracts/index.ts'
import type { JsonObject } from '../core/json.ts'

/** A message type as lists and searches show it. */
export interface MessageSummary {
  readonly name: string
  readonly kind: 'event' | 'command'
  readonly purpose: string
  /** `$id` of its schema, where it has one. */
  readonly schemaId?: string
  readonly deprecated?: Deprecation
  /** Consumers that the contract itself names for it; of a command its handler. */
  readonly readers?: readonly string[]
}

/** What lists and searches need of a contract, so that they need not read it. */
export interface ContractFacts {
  readonly status: ContractStatus
  readonly purpose: string
  readonly owner?: Owner
  readonly messages: readonly MessageSummary[]
  readonly producers: readonly string[]
  readonly consumers: readonly string[]
}

/** What happened to the registry. Written once, never edited: each kind stays readable forever. */
export type Change =
  | {
      readonly kind: 'contract-registered'
      readonly by: string
      readonly id: string
      readonly version: string
      /** Digest of the document, under which it is stored. */
      readonly hash: string
      readonly facts: ContractFacts
    }
  | {
      readonly kind: 'contract-status-changed'
      readonly by: string
      readonly id: string
      readonly version: string
      readonly status: ContractStatus
    }
  | {
      readonly kind: 'reviewed'
      readonly by: string
      readonly id: string
      readonly version: string
      readonly consumer: string
      readonly digest: string
      /** When it was reviewed, as the reviewer has it; absent: when it was recorded. */
      readonly on?: string
    }
  | {
      readonly kind: 'consumer-registered'
      readonly by: string
      readonly contract: string
      readonly consumer: string
      /** Version of the consumer itself. */
      readonly version: string
      readonly environment?: string
      /** The contract's version that the entry was written against. */
      readonly since: string
      /** The consumer's block, as a contract file has it, defaults filled in. */
      readonly entry: JsonObject
      /** Event → schema of what the consumer reads. */
      readonly views: JsonObject
    }
  | {
      readonly kind: 'consumer-withdrawn'
      readonly by: string
      readonly contract: string
      readonly consumer: string
      readonly version: string
    }
  | {
      readonly kind: 'environment-set'
      readonly by: string
      readonly name: string
      readonly production: boolean
    }
  | {
      readonly kind: 'deployed'
      readonly by: string
      readonly service: string
      readonly version: string
      readonly environment: string
      /** Contract id → its version that this build was made against. */
      readonly contracts: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'undeployed'
      readonly by: string
      readonly service: string
      readonly version: string
      readonly environment: string
    }

/** The change as the store takes it. */
export type StoredChange = Change & JsonObject
