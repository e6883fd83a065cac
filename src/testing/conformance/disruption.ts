import assert from 'node:assert/strict'
import type { Behaviour } from './behaviour.ts'
import { all, needs, needsConnections, needsProcesses } from './behaviour.ts'
import type { Intake } from './intake.ts'
import { ack, consume } from './intake.ts'
import { orderWatch } from './ordering.ts'
import type { Scene, Stage } from './stage.ts'
import { bytesOf } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

/** Publishes until it is ended; a failed publish is tried again with the same id, as the bus does. */
function publishSteadily(scene: Scene) {
  const confirmed: string[] = []
  let ended = false
  const running = (async () => {
    for (let number = 0; !ended; number += 1) {
      const record = scene.record({ key: `key-${number % 10}` })
      while (!ended) {
        const [result] = await scene.transport.publish([record]).catch(() => [])
        if (result && 'id' in result) {
          confirmed.push(record.id)
          break
        }
        await sleep(20)
      }
      await sleep(1)
    }
  })()
  return {
    confirmed,
    async end() {
      ended = true
      await running
    },
  }
}

async function untilAll(intake: Intake, ids: readonly string[], boundMs: number): Promise<void> {
  const missing = () => {
    const done = new Set(intake.acknowledged.map((each) => each.record.id))
    return ids.filter((id) => !done.has(id))
  }
  await waitUntil(() => missing().length === 0, {
    boundMs,
    what: () => `${missing().length} of ${ids.length} messages, such as "${missing()[0]}"`,
  })
}

async function survivesRestart(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const consumer = await scene.join()
  const intake = await consume(consumer, scene.group)
  const publisher = publishSteadily(scene)
  for (let round = 0; round < 2; round += 1) {
    await sleep(400)
    await stage.broker.restart?.()
  }
  await sleep(1500)
  await publisher.end()

  await untilAll(intake, publisher.confirmed, 30_000 + 4 * stage.leaseMs)

  assert(publisher.confirmed.length > 10, 'publishing went on after the restart')
}

/** Where the broker is no process of its own: the processes that share it die, the others go on. */
async function survivesNeighbours(stage: Stage): Promise<void> {
  const credit = 8
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group)
  const publisher = publishSteadily(scene)
  const promised: string[] = []
  const elsewhere = new Set<string>()
  for (let round = 0; round < stage.effort.killRounds; round += 1) {
    const child = await stage.child(scene)
    const { address, type, group } = scene
    await child.call({ kind: 'stream', prefix: stage.name('child'), address, type, keys: 10 })
    await child.call({ kind: 'consume', group, credit, handler: { kind: 'ack', workMs: 3 } })
    await child.until((each) => each.of('settled').length > 5, 'some settlements')
    await sleep(stage.random() * 100)
    await child.kill()
    for (const event of child.of('published')) promised.push(event.messageId)
    for (const event of child.of('settled')) if (event.ok) elsewhere.add(event.messageId)
  }
  await publisher.end()

  await waitUntil(async () => (await waitingOf(scene)) === 0, {
    boundMs: stage.leaseMs + 15_000,
    what: () => `the group to be empty; ${intake.deliveries.length} came`,
  })
  const here = new Set(intake.acknowledged.map((each) => each.record.id))
  const confirmed = [...promised, ...publisher.confirmed]
  const lost = confirmed.filter((id) => !here.has(id) && !elsewhere.has(id))
  // A settlement that was durable, but not yet told of when its process died, leaves its id here.
  const untold = stage.effort.killRounds * credit
  assert(lost.length <= untold, `${lost.length} of ${confirmed.length} confirmed messages are lost`)
  await assertBalanced(scene)
}

async function rowOf(scene: Scene, transport = scene.transport) {
  const { counts } = await transport.stats()
  const row = counts.find((each) => each.event === scene.type && each.consumer === 'worker')
  assert(row, `stats have a row of "${scene.type}" for the consumer`)
  const published = counts.find((each) => each.event === scene.type && each.consumer === null)
  return { ...row, published: published?.published ?? 0 }
}

async function waitingOf(scene: Scene): Promise<number> {
  return (await rowOf(scene)).waiting
}

/** The ledger of the broker itself: every message that was taken was handled, none is left. */
export async function assertBalanced(scene: Scene, transport = scene.transport): Promise<void> {
  const row = await rowOf(scene, transport)
  assert.equal(row.waiting, 0, 'nothing waits')
  assert.equal(row.deliveries, row.published, 'each published message is one delivery')
  assert.equal(row.handled + row.skipped + row.dead + row.expired, row.deliveries, 'sums agree')
}

async function survivesCut(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const consumer = await scene.join()
  const intake = await consume(consumer, scene.group)
  const publisher = publishSteadily(scene)
  for (let round = 0; round < 5; round += 1) {
    await sleep(200 + stage.random() * 200)
    await stage.broker.cut?.()
  }
  await sleep(500)
  await publisher.end()

  await untilAll(intake, publisher.confirmed, stage.leaseMs + 20_000)
}

async function survivesKillInSettle(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  // More than the children can settle before they are killed.
  const records = scene.records(stage.effort.killRounds * 80)
  await scene.publish(records)
  const settledElsewhere = new Set<string>()
  for (let round = 0; round < stage.effort.killRounds; round += 1) {
    const child = await stage.child(scene)
    const handler = { kind: 'ack' } as const
    await child.call({ kind: 'consume', group: scene.group, credit: 8, handler })
    const enough = 1 + Math.floor(stage.random() * 20)
    await child.until((each) => each.of('settled').length >= enough, `${enough} settlements`)
    await child.kill()
    for (const event of child.of('settled')) settledElsewhere.add(event.messageId)
  }

  const intake = await consume(scene.transport, scene.group, { credit: 50 })
  await waitUntil(async () => (await waitingOf(scene)) === 0, {
    boundMs: stage.leaseMs + 10_000,
    what: () => `the group to be empty; ${intake.deliveries.length} came`,
  })

  const back = intake.ids().filter((id) => settledElsewhere.has(id))
  assert.deepEqual(back, [], 'what was confirmed as acknowledged did not come back')
  await assertBalanced(scene)
}

async function rebalances(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key' })
  const steady = await scene.join()
  const watch = orderWatch()
  const work = async (delivery: Parameters<typeof ack>[0]) => {
    watch.begin(delivery)
    await sleep(stage.random() * 3)
    watch.end(delivery)
    return ack(delivery)
  }
  const staying = await consume(steady, scene.group, { credit: 8, handle: work, replica: 'stays' })
  const keys = 20
  let ended = false
  const total = { published: 0 }
  const publishing = (async () => {
    for (let number = 0; !ended; number += 1) {
      const body = bytesOf(JSON.stringify({ number }))
      await scene.publish(scene.records(keys, (at) => ({ key: `key-${at}`, body })))
      total.published += keys
      await sleep(10)
    }
  })()
  let handledByLeavers = 0
  for (let round = 0; round < 10; round += 1) {
    const joined = await scene.join()
    const visitor = await consume(joined, scene.group, {
      credit: 8,
      handle: work,
      replica: 'visits',
    })
    await sleep(100 + stage.random() * 100)
    await visitor.subscription.stop()
    await joined.close({ drainMs: 5000 })
    handledByLeavers += visitor.acknowledged.length
  }
  ended = true
  await publishing

  await waitUntil(() => staying.acknowledged.length + handledByLeavers >= total.published, {
    boundMs: stage.leaseMs + 15_000,
    what: () =>
      `${total.published} acknowledgements: ${staying.acknowledged.length} + ${handledByLeavers}`,
  })
  if (stage.capabilities.orderedByKey !== 'none') {
    assert.deepEqual(watch.problems.slice(0, 5), [], 'each key kept its order')
  }
  await lateSettleIsIgnored(stage)
}

async function lateSettleIsIgnored(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const other = await scene.join()
  const leaving = await consume(scene.transport, scene.group, {
    handle: () => undefined,
    credit: 1,
    // Else it may be handed out here again before the stop.
    renews: false,
  })
  await scene.publish(scene.records(1))
  await leaving.until(1)
  const [held] = leaving.deliveries
  assert(held)
  await leaving.settle({ outcome: 'release', delivery: held })
  await leaving.subscription.stop()
  const next = await consume(other, scene.group, { handle: () => undefined, credit: 1 })
  await next.until(1)

  const [late] = await scene.transport.settle([ack(held)])
  const [current] = next.deliveries
  const [inTime] = await other.settle([ack(current as typeof held)])

  assert.deepEqual(late, { ok: false, reason: 'lost' }, 'a settlement that comes too late is lost')
  assert.deepEqual(inTime, { ok: true }, 'and harms nobody')
}

async function fencesFrozenProcess(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const frozen = await stage.child(scene)
  await frozen.call({ kind: 'consume', group: scene.group, credit: 1, handler: { kind: 'hold' } })
  const record = scene.record()
  await scene.publish([record])
  await frozen.until((each) => each.of('delivered').length === 1, 'the delivery')

  frozen.freeze()
  const intake = await consume(scene.transport, scene.group, {
    credit: 1,
    handle: () => undefined,
  })
  await intake.until(1, stage.leaseMs * 2 + 5000)
  const asked = frozen.call({ kind: 'settle', messageId: record.id, outcome: 'ack' })
  frozen.thaw()
  const answer = await asked
  const [mine] = intake.deliveries
  const [inTime] = await intake.settle(ack(mine as NonNullable<typeof mine>))

  assert.deepEqual(answer, { kind: 'settled', result: { ok: false, reason: 'lost' } })
  assert.deepEqual(inTime, { ok: true }, 'the lease belongs to the one that has it now')
  assert.equal((await rowOf(scene)).handled, 1, 'it counts once')
}

export const disruption: readonly Behaviour[] = [
  {
    number: 33,
    statement: 'goes on without loss when the broker, or a process that shares it, is killed',
    boundMs: 120_000,
    unless: (facts) =>
      needs('durable')(facts) ?? (facts.broker.restart ? undefined : needsProcesses(facts)),
    run: (stage) => (stage.broker.restart ? survivesRestart(stage) : survivesNeighbours(stage)),
  },
  {
    number: 34,
    statement: 'loses nothing when the connection, or the process, ends in the middle of settling',
    boundMs: 120_000,
    unless: (facts) => (facts.broker.cut ? undefined : needsProcesses(facts)),
    run: (stage) => (stage.broker.cut ? survivesCut(stage) : survivesKillInSettle(stage)),
  },
  {
    number: 35,
    statement: 'keeps order and loses nothing while consumers join and leave ten times',
    boundMs: 90_000,
    unless: all(needs('competingConsumers'), needsConnections),
    run: rebalances,
  },
  {
    number: 36,
    statement: 'ignores the acknowledgement of a frozen process whose lease has moved',
    boundMs: 60_000,
    unless: needsProcesses,
    run: fencesFrozenProcess,
  },
]
