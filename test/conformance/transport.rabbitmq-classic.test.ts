import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { openRabbitmqBroker, rabbitmqChild } from './rabbitmq-broker.ts'
import { withService } from './service-url.ts'

/** What classic queues do otherwise: returns, redelivery, confirmation. The rest is shown on quorum queues. */
const otherwise = [1, 2, 6, 7, 10, 11, 15, 16, 17, 20, 22, 23, 27, 31, 34, 36, 40]

await withService('rabbitmq', (server) =>
  describeTransport('rabbitmq on classic queues', () => openRabbitmqBroker(server, 'classic'), {
    runner: { describe, it },
    child: rabbitmqChild,
    patience: 2,
    ...(isFullSoak ? {} : { only: otherwise }),
  }),
)
