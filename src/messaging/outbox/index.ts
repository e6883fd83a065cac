export type { BusOutbox, MadeRecord } from './bus-outbox.ts'
export { openBusOutbox } from './bus-outbox.ts'
export { migrateOutbox, openOutbox } from './open-outbox.ts'
export type {
  Outbox,
  OutboxDatabase,
  OutboxDesk,
  OutboxOptions,
  OutboxPublishOptions,
  OutboxStatus,
  ParkedMessage,
  PostgresHandle,
  Queued,
  SqliteHandle,
  SyncOutbox,
} from './outbox.ts'
export type { Relay, RelayOptions } from './relay.ts'
export { startRelay } from './relay.ts'
