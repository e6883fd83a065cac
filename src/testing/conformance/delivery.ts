import assert from 'node:assert/strict'
import type { Behaviour } from './behaviour.ts'
import { all, needs, needsConnections, needsProcesses } from './behaviour.ts'
import { ack, consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { sleep } from './waiting.ts'

async function fansOut(stage: Stage): Promise<void> {
  const scene = await stage.scene({ consumers: ['billing', 'shipping'] })
  const records = scene.records(50)

  await scene.publish(records)
  const billing = await consume(scene.transport, scene.groupOf('billing'))
  const shipping = await consume(scene.transport, scene.groupOf('shipping'))
  await Promise.all([billing.untilAcknowledged(50), shipping.untilAcknowledged(50)])

  const ids = records.map((record) => record.id).sort()
  assert.deepEqual(billing.ids().sort(), ids)
  assert.deepEqual(shipping.ids().sort(), ids)
}

async function competes(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const other = await scene.join()
  const handle = async (delivery: Parameters<typeof ack>[0]) => {
    await sleep(2)
    return ack(delivery)
  }
  const here = await consume(scene.transport, scene.group, { credit: 4, handle, replica: 'one' })
  const there = await consume(other, scene.group, { credit: 4, handle, replica: 'two' })
  const records = scene.records(200, (at) => ({ key: `key-${at}` }))

  await scene.publish(records)
  const total = () => here.acknowledged.length + there.acknowledged.length
  for (let waited = 0; total() < 200 && waited < 1000; waited += 1) await sleep(10)

  const ids = [...here.ids(), ...there.ids()].sort()
  assert.deepEqual(ids, records.map((record) => record.id).sort(), 'each message went to one')
  assert(here.deliveries.length > 0 && there.deliveries.length > 0, 'both had work')
}

async function redeliversAfterKill(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const child = await stage.child(scene)
  await child.call({ kind: 'consume', group: scene.group, credit: 5, handler: { kind: 'hold' } })
  const records = scene.records(5)
  await scene.publish(records)
  await child.until((each) => each.of('delivered').length === 5, 'five deliveries')

  const intake = await consume(scene.transport, scene.group)
  await child.kill()
  const killedAt = performance.now()
  await intake.untilAcknowledged(5, stage.leaseMs + 2000)
  const elapsedMs = performance.now() - killedAt

  assert(elapsedMs < stage.leaseMs + 2000, `came ${Math.round(elapsedMs)} ms after the kill`)
  assert.deepEqual(intake.ids().sort(), records.map((record) => record.id).sort())
  for (const delivery of intake.deliveries) {
    assert.equal(delivery.attempt, 1, 'a crash is not a failed attempt')
    if (stage.capabilities.deliveryCount) assert.equal(delivery.deliveryCount, 2)
  }
}

async function acknowledgedStaysAway(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const first = await consume(scene.transport, scene.group)
  await scene.publish(scene.records(50))
  await first.untilAcknowledged(50)
  // A connection beside it keeps an in-memory broker alive while the first one goes.
  const other = await scene.join()

  await scene.transport.close({ drainMs: 0 })
  await stage.broker.restart?.()
  const again = await scene.join()
  const late = await consume(again, scene.group)
  await sleep(stage.leaseMs + 700)
  const marker = scene.record()
  await again.publish([marker])
  await late.until(1)

  assert.deepEqual(late.ids(), [marker.id], 'nothing that was acknowledged came back')
  await other.close({ drainMs: 0 })
}

export const delivery: readonly Behaviour[] = [
  {
    number: 5,
    statement: 'gives every message to each of two groups',
    boundMs: 15_000,
    unless: needs('fanOutGroups'),
    run: fansOut,
  },
  {
    number: 6,
    statement: 'gives each message to one of two competing consumers, and gives all',
    boundMs: 20_000,
    unless: all(needs('competingConsumers'), needsConnections),
    run: competes,
  },
  {
    number: 7,
    statement: 'hands out again within lease + 2 s what a killed consumer had',
    boundMs: 45_000,
    unless: needsProcesses,
    run: redeliversAfterKill,
  },
  {
    number: 8,
    statement: 'never hands out again what was acknowledged, also after a restart',
    boundMs: 30_000,
    unless: needsConnections,
    run: acknowledgedStaysAway,
  },
]
