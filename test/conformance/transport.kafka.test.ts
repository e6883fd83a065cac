import { describe, it } from 'vitest'
import {
  type DescribeTransportOptions,
  describeTransport,
  type TestRunner,
} from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { kafkaChild, kafkaLeaseMs, openKafkaBroker } from './kafka-broker.ts'
import { withService } from './service-url.ts'

/** These wait for sessions of dead members to end, six seconds each time; they can do so beside each other, three at a time. */
const patient = [10, 15, 20, 33, 34, 36, 42]
const besides = 3
const others = Array.from({ length: 46 }, (_, at) => at + 1).filter((at) => !patient.includes(at))

const options: DescribeTransportOptions = {
  child: kafkaChild,
  leaseMs: kafkaLeaseMs,
  patience: 2,
  ...(isFullSoak ? {} : { effort: { orderMessages: 20, backlog: 20_000, soakMs: 10_000 } }),
}

/** Runs at most so many at the same time; each has the time of all those before it too. */
function beside(): TestRunner['it'] {
  let running = 0
  const waiting: (() => void)[] = []
  return (name, body, timeoutMs = 0) =>
    it.concurrent(
      name,
      async (context) => {
        if (running >= besides) await new Promise<void>((resolve) => waiting.push(resolve))
        running += 1
        try {
          await body(context)
        } finally {
          running -= 1
          waiting.shift()?.()
        }
      },
      timeoutMs * patient.length,
    )
}

await withService('kafka', async (server) => {
  const open = () => openKafkaBroker(server)
  await describeTransport('kafka', open, { ...options, only: others, runner: { describe, it } })
  await describeTransport('kafka, with members that die,', open, {
    ...options,
    only: patient,
    runner: { describe, it: beside() },
  })
})
