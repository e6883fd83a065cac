import { createSqliteTransport } from '../../src/messaging/transports/sqlite/index.ts'
import type { ConnectOptions } from '../../src/testing/index.ts'

/** How a child process of the conformance suite comes to the file. */
export function openSqliteTransport(path: string, options: ConnectOptions) {
  return createSqliteTransport({ ...options, path })
}
