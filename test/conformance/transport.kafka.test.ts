import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { kafkaChild, openKafkaBroker } from './kafka-broker.ts'
import { withService } from './service-url.ts'

await withService('kafka', (server) =>
  describeTransport('kafka', () => openKafkaBroker(server), {
    runner: { describe, it },
    child: kafkaChild,
    // The lowest session timeout that brokers allow by default.
    leaseMs: 6000,
    patience: 2,
    ...(isFullSoak ? {} : { effort: { orderMessages: 20, backlog: 20_000, soakMs: 10_000 } }),
  }),
)
