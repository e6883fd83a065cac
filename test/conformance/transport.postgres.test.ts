import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { openPostgresBroker, postgresChild } from './postgres-broker.ts'
import { withService } from './service-url.ts'

await withService('postgres', (server) =>
  describeTransport('postgres', () => openPostgresBroker(server), {
    runner: { describe, it },
    child: postgresChild,
    patience: 2,
  }),
)
