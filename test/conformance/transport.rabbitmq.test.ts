import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { openRabbitmqBroker, rabbitmqChild } from './rabbitmq-broker.ts'
import { withService } from './service-url.ts'

await withService('rabbitmq', (server) =>
  describeTransport('rabbitmq', () => openRabbitmqBroker(server), {
    runner: { describe, it },
    child: rabbitmqChild,
    patience: 2,
    effort: isFullSoak ? {} : { orderMessages: 20, backlog: 20_000, soakMs: 10_000 },
  }),
)
