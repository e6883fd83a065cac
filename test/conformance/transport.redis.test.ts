import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { openRedisBroker, redisChild } from './redis-broker.ts'
import { withService } from './service-url.ts'

await withService('redis', (server) =>
  describeTransport('redis', () => openRedisBroker(server), {
    runner: { describe, it },
    child: redisChild,
    patience: 2,
    effort: isFullSoak ? {} : { orderMessages: 20, backlog: 20_000, soakMs: 10_000 },
  }),
)
