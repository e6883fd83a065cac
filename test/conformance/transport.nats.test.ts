import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { natsChild, openNatsBroker } from './nats-broker.ts'
import { withService } from './service-url.ts'

await withService('nats', (server) =>
  describeTransport('nats', () => openNatsBroker(server), {
    runner: { describe, it },
    child: natsChild,
    patience: 2,
    ...(isFullSoak ? {} : { effort: { orderMessages: 20, backlog: 20_000, soakMs: 10_000 } }),
  }),
)
