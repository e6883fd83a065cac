import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteTransport } from '../../src/messaging/transports/sqlite/index.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'

/** A broker in a file of its own, which goes when it is disposed of. */
export function openSqliteBroker(): TransportUnderTest {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-conformance-'))
  const path = join(folder, 'broker.db')
  return {
    url: path,
    async connect(options) {
      const transport = createSqliteTransport({ ...options, path })
      await transport.connect()
      return transport
    },
    dispose: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** How a child process comes to the file. */
export function openSqliteTransport(path: string, options: ConnectOptions) {
  return createSqliteTransport({ ...options, path })
}

export const sqliteChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openSqliteTransport',
}
