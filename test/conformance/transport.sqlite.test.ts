import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { createSqliteTransport } from '../../src/messaging/transports/sqlite/index.ts'
import type { TransportUnderTest } from '../../src/testing/index.ts'
import { describeTransport } from '../../src/testing/index.ts'
import { effort } from './effort.ts'

await describeTransport(
  'sqlite',
  (): TransportUnderTest => {
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
  },
  {
    runner: { describe, it },
    child: {
      module: new URL('./sqlite-child.ts', import.meta.url),
      exportName: 'openSqliteTransport',
    },
    effort,
  },
)
