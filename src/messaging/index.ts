export { busOver } from './bus.ts'
export type { CommandFailure } from './commands/request-reply.ts'
export { commandFailure } from './commands/request-reply.ts'
export type { SchemaRegistryOptions } from './confluent/schema-ids.ts'
export type { ConfluentWireOptions } from './confluent/transport.ts'
export { withConfluentWire } from './confluent/transport.ts'
export type { OrderOptions } from './consume/out-of-order.ts'
export { inSequence, latestOnly } from './consume/out-of-order.ts'
export { retryDelayMs } from './consume/retry-policy.ts'
export { fitsPattern, isPattern } from './event-pattern.ts'
export type { InboxOptions } from './inbox/inbox.ts'
export { openBus } from './open-bus.ts'
export type { OpenTransportOptions } from './open-transport.ts'
export {
  migrateTransport,
  openTransport,
  storeUrlFor,
  transportUrlDefault,
} from './open-transport.ts'
export type {
  Outbox,
  OutboxDatabase,
  OutboxDesk,
  OutboxOptions,
  OutboxPublishOptions,
  OutboxStatus,
  ParkedMessage,
  Queued,
  Relay,
  RelayOptions,
  SyncOutbox,
} from './outbox/index.ts'
export { migrateOutbox, openOutbox, startRelay } from './outbox/index.ts'
export type { PostgresHandle, SqliteHandle } from './outbox/outbox.ts'
export { commandGroupName, groupName, topologyOf } from './topology/topology.ts'
export type { AppliedPlan, SurplusGroup, TopologyPlan } from './topology/topology-plan.ts'
export { applyTopology, keepsPromises, planTopology } from './topology/topology-plan.ts'
export type {
  BrokerInventory,
  BrowseQuery,
  Capabilities,
  ChannelTopology,
  CountRow,
  DeadFilter,
  DeadLetter,
  DeadLetterStore,
  DeadLetterSummary,
  Delivery,
  DeliverySink,
  Failure,
  GroupTopology,
  IncomingRecord,
  OutgoingRecord,
  Page,
  PublishResult,
  Settlement,
  SettleResult,
  StoredMessage,
  SubscriptionSpec,
  Topology,
  TopologyDiff,
  TopologySurplus,
  TransactionEffect,
  TransactionHandle,
  Transport,
  TransportOptions,
  TransportStats,
  TransportSubscription,
} from './transport.ts'
export { priorityLevels } from './transport.ts'
export type {
  BatchContext,
  BatchHandler,
  BatchHandlers,
  BatchOptions,
  BatchOutcome,
  Bus,
  BusHealth,
  BusOptions,
  BusStats,
  CommandHandler,
  ConsumeOptions,
  DeadLetters,
  EventCounts,
  Handler,
  HandlerContext,
  Handlers,
  IngestedBatch,
  IngestedItem,
  Outcome,
  Published,
  PublishOptions,
  SettledEvent,
  Subscription,
  Trace,
  TraceEntry,
} from './types.ts'
export { brokerFacts } from './watch/ask-broker.ts'
export type { BrokerFacts } from './watch/broker-facts.ts'
export { clockSkewMsMax, clockSkewProblem } from './watch/broker-facts.ts'
export { summarize } from './watch/ledger.ts'
