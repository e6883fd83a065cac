import assert from 'node:assert/strict'
import type { Behaviour } from './behaviour.ts'
import { needs, needsConnections } from './behaviour.ts'
import { ack, consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { sleep, waitUntil, within } from './waiting.ts'

async function drains(stage: Stage): Promise<void> {
  const leaseMs = 20_000
  const scene = await stage.scene({ connect: { leaseMs } })
  const other = await scene.join({ leaseMs })
  const leaving = await consume(scene.transport, scene.group, {
    credit: 8,
    async handle(delivery) {
      await sleep(150)
      return ack(delivery)
    },
  })
  const records = scene.records(40)
  await scene.publish(records)
  await leaving.until(8)

  const stopped = leaving.subscription.stop()
  await within(stopped, { boundMs: 5000, what: () => 'stop() to end the intake' })
  const out = leaving.deliveries.length
  await scene.transport.close({ drainMs: 5000 })
  const closedAt = performance.now()
  const staying = await consume(other, scene.group)
  await staying.untilAcknowledged(40 - leaving.acknowledged.length)
  const tookMs = performance.now() - closedAt

  assert.equal(leaving.deliveries.length, out, 'nothing came after the stop')
  assert.equal(leaving.acknowledged.length, out, 'what was under way was finished and confirmed')
  assert.deepEqual(leaving.lost, [])
  assert(tookMs < leaseMs / 4, `the rest was released at once, not after ${Math.round(tookMs)} ms`)
  const all = [...leaving.ids(), ...staying.ids()].sort()
  assert.deepEqual(all, records.map((each) => each.id).sort(), 'no loss and no duplicate')
  assert(staying.deliveries.every((each) => each.attempt === 1))
}

async function endsAtDeadline(stage: Stage): Promise<void> {
  const leaseMs = 20_000
  const scene = await stage.scene({ connect: { leaseMs } })
  const other = await scene.join({ leaseMs })
  const stuck = await consume(scene.transport, scene.group, { credit: 5, handle: () => undefined })
  await scene.publish(scene.records(5))
  await stuck.until(5)

  const startedAt = performance.now()
  await scene.transport.close({ drainMs: 300 })
  const closedMs = performance.now() - startedAt
  const late = await lateSettle(stuck)
  const next = await consume(other, scene.group)
  await next.untilAcknowledged(5, 5000)

  assert(closedMs < 300 + 2000, `close took ${Math.round(closedMs)} ms with a deadline of 300 ms`)
  assert.equal(late, false, 'a settlement after the close has no effect')
  assert.deepEqual(
    next.deliveries.map((each) => each.attempt),
    [1, 1, 1, 1, 1],
  )
}

/** True when a settlement that comes after the close claims to have taken effect. */
async function lateSettle(stuck: Awaited<ReturnType<typeof consume>>): Promise<boolean> {
  try {
    const results = await stuck.settle(...stuck.unsettled().map(ack))
    return results.some((result) => result.ok)
  } catch {
    // A closed transport may refuse the call as a whole.
    return false
  }
}

async function closesAnytime(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const other = await scene.join()
  const transport = await scene.join()
  await consume(transport, scene.group, { handle: () => undefined, credit: 3 })
  const publishing = Array.from({ length: 40 }, async () => {
    const records = scene.records(25)
    try {
      return (await transport.publish(records)).flatMap((each) => ('id' in each ? [each.id] : []))
    } catch {
      return []
    }
  })

  const closing = [transport.close({ drainMs: 50 }), transport.close({ drainMs: 50 })]
  const bound = { boundMs: 10_000, what: () => 'two close() at once during publish' }
  await within(Promise.all(closing), bound)
  await transport.close({ drainMs: 0 })
  const promised = (await within(Promise.all(publishing), bound)).flat()
  const intake = await consume(other, scene.group, { credit: 200 })
  await waitUntil(() => promised.every((id) => intake.ids().includes(id)), {
    boundMs: stage.leaseMs + 8000,
    what: () => `${promised.length} confirmed messages: ${intake.deliveries.length} came`,
  })

  const refused = await transport.publish(scene.records(1)).then(
    (results) => results.every((each) => 'error' in each),
    () => true,
  )
  assert(refused, 'a closed transport takes no message')
}

async function closesTwice(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const closing = [scene.transport.close({ drainMs: 50 }), scene.transport.close({ drainMs: 0 })]
  await within(Promise.all(closing), { boundMs: 5000, what: () => 'two close() at once' })
  await scene.transport.close({ drainMs: 0 })
}

export const shutdown: readonly Behaviour[] = [
  {
    number: 31,
    statement: 'drains on close: what is out is finished, the rest is released at once',
    boundMs: 30_000,
    unless: (facts) => needsConnections(facts) ?? needs('releaseOnDisconnect')(facts),
    run: drains,
  },
  {
    number: 32,
    statement: 'closes at the deadline and releases what hangs, without counting an attempt',
    boundMs: 30_000,
    unless: (facts) => needsConnections(facts) ?? needs('releaseOnDisconnect')(facts),
    run: endsAtDeadline,
  },
  {
    number: 41,
    statement: 'closes twice, concurrently and during a publish, losing nothing confirmed',
    boundMs: 30_000,
    async run(stage) {
      await closesTwice(stage)
      if (stage.reconnects) await closesAnytime(stage)
    },
  },
]
