export type { MigrationReport } from './migration-report.ts'
export {
  migrateStore,
  type OpenStoreOptions,
  openStore,
  sqlitePath,
  storeName,
} from './open-store.ts'
export { openPostgresStore, type PostgresStoreOptions } from './postgres.ts'
export {
  openPostgresAccess,
  type PostgresAccess,
  type PostgresAccessOptions,
  type PostgresClient,
  type Query,
  type Row,
} from './postgres-access.ts'
export { loadPostgresDriver } from './postgres-driver.ts'
export { endsConnection, mapPostgresError, postgresFate } from './postgres-errors.ts'
export {
  migratePostgres,
  type PostgresMigrations,
  planPostgresMigration,
} from './postgres-migrations.ts'
export { isPostgresUrl, readPostgresUrl } from './postgres-url.ts'
export { openSqliteStore, type SqliteStoreOptions } from './sqlite.ts'
export type { Durability } from './sqlite-connect.ts'
export { type BusyOptions, isStorageError, mapSqliteError, withBusyRetry } from './sqlite-errors.ts'
export { type OpenSqliteOptions, openSqliteFile, type SqliteFile } from './sqlite-file.ts'
export type { ComponentMigrations } from './sqlite-migrations.ts'
export type {
  ClaimResult,
  ClaimStore,
  CounterStore,
  Lock,
  LockStore,
  LogEntry,
  LogStore,
  RecordStore,
  Store,
  StoredRecord,
} from './store.ts'
