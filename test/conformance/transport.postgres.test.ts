import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { openPostgresBroker, postgresChild } from './postgres-broker.ts'
import { withService } from './service-url.ts'

await withService('postgres', (server) =>
  describeTransport('postgres', () => openPostgresBroker(server), {
    runner: { describe, it },
    child: postgresChild,
    patience: 2,
    ...(isFullSoak ? {} : { effort: { orderMessages: 20, backlog: 20_000, soakMs: 10_000 } }),
  }),
)
