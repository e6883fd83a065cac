import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../src/store/index.ts'
import { describeStore } from '../../src/testing/describe-store.ts'

await describeStore(
  'sqlite, in several processes',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-'))
    const url = `sqlite:${join(folder, 'store.db')}`
    return {
      url,
      connect: () => openStore(url),
      dispose: async () => rmSync(folder, { recursive: true, force: true }),
    }
  },
  {
    parts: 'processes',
    child: {
      module: new URL('../../src/store/index.ts', import.meta.url),
      exportName: 'openStore',
    },
  },
)

// A bare store, as an adapter's first test would hand it over; here the leases really pass.
await describeStore('memory, one connection', () => openStore('memory:'), { parts: 'unit' })
