import type { ContractVerdict } from '../contracts/compat/index.ts'
import type { Contract, ContractStatus, JsonSchema, Review } from '../contracts/index.ts'
import type { Finding } from '../core/finding.ts'
import type { JsonObject } from '../core/json.ts'
import type { Change, ContractFacts, MessageSummary } from './changes.ts'
import type { Recorded } from './ledger.ts'

/** A registered version, without the content. */
export interface ContractVersion extends Omit<ContractFacts, 'status'> {
  readonly id: string
  readonly version: string
  /** `sha256:` and the digest of the canonical JSON of the content, reviews and status left out. */
  readonly hash: string
  readonly status: ContractStatus
  /** ISO 8601, by the clock of the store. */
  readonly registeredAt: string
  /** Name of the key, or of the person. */
  readonly by: string
  /** Those that name the present content; others are void. */
  readonly reviews: readonly Review[]
}

/** What registering came to. */
export interface Registered {
  readonly version: ContractVersion
  /** False: the same content was there already. */
  readonly created: boolean
  /** Warnings of the judge, and breaks that are waived. */
  readonly findings: readonly Finding[]
}

/** A message type of one registered version. */
export interface MessageVersion extends MessageSummary {
  readonly contract: string
  readonly version: string
  readonly producers: readonly string[]
  /** Consumers that the contract names or that registered themselves, and that list it. */
  readonly consumers: readonly string[]
}

/** A consumer's entry, pushed by its own repository. */
export interface ConsumerRegistration {
  readonly contract: string
  readonly consumer: string
  /** Version of the consumer itself: any text, a commit for example. */
  readonly version: string
  readonly environment?: string
  /** The contract's version that the entry was written against. */
  readonly since: string
  /** In the shape of a contract file, defaults filled in. */
  readonly entry: JsonObject
  /** Event → schema of what the consumer reads, derived from `needs` at registration. */
  readonly views: JsonObject
  readonly registeredAt: string
  readonly by: string
}

export interface ConsumerPush {
  readonly contract: string
  readonly consumer: string
  readonly version: string
  readonly environment?: string
  /** In the shape of a contract file. */
  readonly entry: JsonObject
}

export interface Environment {
  readonly name: string
  /** In production what is not known blocks; elsewhere it warns. */
  readonly production: boolean
  readonly createdAt: string
}

/** One version of a service that runs in an environment. Several may run at once. */
export interface Deployment {
  readonly service: string
  readonly version: string
  readonly environment: string
  /** Contract id → its version that this build was made against. */
  readonly contracts: Readonly<Record<string, string>>
  readonly deployedAt: string
  readonly by: string
}

/** Anything but the time is given by the caller. */
export type DeploymentInput = Omit<Deployment, 'deployedAt' | 'by' | 'contracts'> & {
  readonly contracts?: Readonly<Record<string, string>>
  /** Kind of an environment that is not there yet. Default: true where its name begins with `prod`. */
  readonly production?: boolean
}

export interface ConsumerFilter {
  readonly contract?: string
  readonly consumer?: string
  readonly environment?: string
}
export interface DeploymentFilter {
  readonly service?: string
  readonly environment?: string
}

/** Decides whether a version of a contract goes together with earlier ones. Pure; registering asks it. */
export interface CompatibilityJudge {
  /**
   * Errors refuse the registration, warnings and infos go along. `earlier`: the lower versions that count, the highest
   * last; it names all consumers that are registered, also those that the contract itself does not name.
   */
  judge(
    earlier: readonly Contract[],
    after: Contract,
  ): readonly Finding[] | Promise<readonly Finding[]>
}

/**
 * Who agreed to what, and what runs where. Everything is append-only: versions are never changed or deleted, and
 * each change is kept with its time and author. Safe for any number of processes on one store; each answer reflects
 * all that had been written when it was asked.
 */
export interface Registry {
  /**
   * Registers a version. The same content again gives the version that is there.
   *
   * @throws CONTRACT_VERSION_EXISTS for other content · CONTRACT_INCOMPATIBLE with the findings
   */
  register(contract: Contract, by: string): Promise<Registered>
  /** As {@link register}, from the shape of a contract file. @throws CONTRACT_INVALID also */
  registerSource(source: JsonObject, by: string): Promise<Registered>
  /** What registering would come to, without doing it. @throws as {@link register} */
  check(contract: Contract): Promise<readonly Finding[]>
  /** As {@link check}, from the shape of a contract file. @throws CONTRACT_INVALID also */
  checkSource(source: JsonObject): Promise<readonly Finding[]>
  /**
   * What a proposed version breaks, whom it hurts, and which version it may carry, whatever version it names: compared
   * with all registered ones.
   *
   * @throws CONTRACT_INVALID
   */
  impact(source: JsonObject): Promise<ContractVerdict>
  /** The contract itself. `latest` is the highest release, or the highest pre-release where there is none. */
  contract(id: string, version: string): Promise<Contract | undefined>
  version(id: string, version: string): Promise<ContractVersion | undefined>
  /** All versions of one contract, the lowest first; empty when it is not known. */
  versions(id: string): Promise<readonly ContractVersion[]>
  /** The latest version of each contract, by id. */
  latest(): Promise<readonly ContractVersion[]>
  byHash(hash: string): Promise<ContractVersion | undefined>
  /** The content as it was registered, in the shape of a contract file. */
  source(hash: string): Promise<JsonObject | undefined>
  /** Message types of the latest versions whose name contains `name`; all versions where `allVersions` is set. */
  messages(filter?: {
    readonly name?: string
    readonly contract?: string
    readonly allVersions?: boolean
  }): Promise<readonly MessageVersion[]>
  /** The schema of a message type; `version` of its contract, or `latest`. */
  schema(type: string, version: string): Promise<RegisteredSchema | undefined>
  /** The latest schema that has this `$id`. */
  schemaById(id: string): Promise<RegisteredSchema | undefined>

  /** @throws CONTRACT_NOT_FOUND · CONTRACT_INVALID with findings under the consumer */
  pushConsumer(push: ConsumerPush, by: string): Promise<ConsumerRegistration>
  consumers(filter?: ConsumerFilter): Promise<readonly ConsumerRegistration[]>
  /** False: there was none. */
  withdrawConsumer(
    which: { readonly contract: string; readonly consumer: string; readonly version: string },
    by: string,
  ): Promise<boolean>

  environments(): Promise<readonly Environment[]>
  environment(name: string): Promise<Environment | undefined>
  setEnvironment(name: string, production: boolean, by: string): Promise<Environment>
  /** Records that a version runs; its environment is made where it is not there. */
  deploy(input: DeploymentInput, by: string): Promise<Deployment>
  /** Records that it runs no more. @throws DEPLOYMENT_NOT_FOUND */
  undeploy(
    which: { readonly service: string; readonly version: string; readonly environment: string },
    by: string,
  ): Promise<void>
  deployments(filter?: DeploymentFilter): Promise<readonly Deployment[]>

  /** Records that a consumer has read this content. @throws CONTRACT_NOT_FOUND · REVIEW_STALE */
  review(review: ReviewInput, by: string): Promise<ContractVersion>
  /** What happened, the oldest first. */
  audit(options: { after?: number; limit: number }): Promise<readonly Recorded<Change>[]>
}

export interface ReviewInput {
  readonly contract: string
  readonly version: string
  readonly consumer: string
  /** Digest of what was read. */
  readonly digest: string
  /** When, ISO 8601. Default: now. */
  readonly at?: string
}

/** A schema with where it comes from. */
export interface RegisteredSchema {
  readonly type: string
  readonly contract: string
  readonly version: string
  readonly schema: JsonSchema
}
