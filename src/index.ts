/**
 * Contract-first integration for services and AI agents.
 *
 * @module treatyjs
 */
export type { Config } from './cli/config/index.ts'
export { defineConfig } from './cli/config/index.ts'
export type {
  Channel,
  CommandDefinition,
  Consumer,
  Contract,
  ContractTypes,
  ContractTypesOf,
  EnvelopeKind,
  EventDefinition,
  Imported,
  JsonSchema,
  Message,
  Metadata,
  Priority,
  Producer,
  Profile,
  RetryPolicy,
  TypedContract,
  Wire,
} from './contracts/index.ts'
export {
  contractToYaml,
  createDualWriter,
  createMessageBuilder,
  createUpcaster,
  decodeEnvelope,
  defineContract,
  encodeEnvelope,
  exportAsyncApi,
  generateTypes,
  importAsyncApi,
  importConfluent,
  importJsonSchema,
  loadContracts,
  loadPack,
  packNames,
  renderContract,
  validateMessage,
} from './contracts/index.ts'
export type { Clock } from './core/clock.ts'
export { systemClock } from './core/clock.ts'
export type { ErrorCode, TreatyErrorOptions } from './core/errors.ts'
export { errorCatalog, isTreatyError, TreatyError } from './core/errors.ts'
export type { Finding } from './core/finding.ts'
export type { Json, JsonObject } from './core/json.ts'
export type {
  BatchContext,
  BatchHandler,
  BatchOptions,
  BatchOutcome,
  Bus,
  BusOptions,
  BusStats,
  Capabilities,
  CommandHandler,
  ConfluentWireOptions,
  ConsumeOptions,
  DeadLetter,
  DeadLetterSummary,
  Delivery,
  Handler,
  HandlerContext,
  Handlers,
  InboxOptions,
  IngestedBatch,
  IngestedItem,
  Outbox,
  OutboxDesk,
  OutboxOptions,
  OutboxPublishOptions,
  OutboxStatus,
  Outcome,
  OutgoingRecord,
  Page,
  ParkedMessage,
  PostgresHandle,
  Published,
  PublishOptions,
  Queued,
  SettledEvent,
  Settlement,
  SqliteHandle,
  Subscription,
  SyncOutbox,
  Topology,
  Trace,
  Transport,
} from './messaging/index.ts'
export {
  commandFailure,
  inSequence,
  latestOnly,
  openBus,
  openTransport,
} from './messaging/index.ts'
export type { Store } from './store/index.ts'
export { openStore } from './store/index.ts'
