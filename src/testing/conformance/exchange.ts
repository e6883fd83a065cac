import assert from 'node:assert/strict'
import type { Topology } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { needs, needsConnections } from './behaviour.ts'
import { ack, consume, dead, retry } from './intake.ts'
import type { Stage } from './stage.ts'
import { deadLetters } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

function replyTopology(address: string): Topology {
  return {
    channels: [{ address, ordering: 'none' }],
    groups: [
      {
        name: `${address}.inbox`,
        consumer: 'requester',
        subscriptions: [{ address, types: '*' }],
        start: 'earliest',
        deadLetter: {
          address: `${address}.dead`,
          retentionMs: 1000,
          onDead: 'next',
          onExpired: 'drop',
        },
        deliveriesMax: 20,
        ephemeral: true,
      },
    ],
  }
}

async function requestsAndReplies(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const requester = await scene.join()
  const replyTo = stage.name('replies')
  await requester.ensure(replyTopology(replyTo), 'create')
  const replies = await consume(requester, `${replyTo}.inbox`)
  const handler = await consume(scene.transport, scene.group, {
    async handle(delivery) {
      const { correlationId = '', body } = delivery.record
      if (correlationId === 'late') return undefined
      await scene.publish([scene.record({ address: replyTo, correlationId, body })])
      return ack(delivery)
    },
  })

  await scene.publish(scene.records(20, (at) => ({ correlationId: `request-${at}` })))
  await replies.untilAcknowledged(20)
  await scene.publish([scene.record({ correlationId: 'late' })])
  await handler.until(21)
  await requester.close({ drainMs: 0 })
  // Nobody waits any more: the reply is taken or refused, but it must neither fail the handler nor pile up.
  const late = scene.record({ address: replyTo, correlationId: 'late' })
  const results = await scene.transport.publish([late])
  await waitUntil(async () => !(await hasGroup(scene.transport, `${replyTo}.inbox`)), {
    boundMs: stage.leaseMs + 5000,
    what: () => 'the reply queue to vanish with its connection',
  })

  const expected = Array.from({ length: 20 }, (_, at) => `request-${at}`).sort()
  assert.deepEqual(replies.deliveries.map((each) => each.record.correlationId).sort(), expected)
  assert.equal(results.length, 1)
}

async function hasGroup(transport: Awaited<ReturnType<Stage['connect']>>, group: string) {
  const { groups } = await transport.stats()
  return groups.some((each) => each.group === group)
}

async function carriesTrace(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const headers = {
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    tracestate: 'vendor=opaque,other=1',
  }
  const record = scene.record({ headers, correlationId: 'flow-1', causationId: 'cause-1' })
  const intake = await consume(scene.transport, scene.group, {
    handle(delivery) {
      if (intake.deliveries.length === 1) return retry(delivery)
      return intake.deliveries.length === 2 ? dead(delivery) : ack(delivery)
    },
  })

  await scene.publish([record])
  const [letter] = await deadLetters(scene, 1)
  await scene.transport.dead.replay(letter?.id ?? '')
  await intake.untilAcknowledged(1)
  await sleep(50)

  assert.equal(intake.deliveries.length, 3)
  for (const delivery of intake.deliveries) {
    assert.deepEqual({ ...delivery.record.headers }, headers)
    assert.equal(delivery.record.correlationId, 'flow-1')
    assert.equal(delivery.record.causationId, 'cause-1')
  }
}

export const exchange: readonly Behaviour[] = [
  {
    number: 37,
    statement: 'carries requests and replies, and forgets a reply queue with its connection',
    boundMs: 30_000,
    unless: needsConnections,
    run: requestsAndReplies,
  },
  {
    number: 38,
    statement: 'carries trace context, correlation and cause through retry, death and replay',
    boundMs: 15_000,
    unless: needs('headers'),
    run: carriesTrace,
  },
]
