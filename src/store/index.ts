export { openStore, sqlitePath } from './open-store.ts'
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
