import assert from 'node:assert/strict'
import type { Delivery } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { needs } from './behaviour.ts'
import { ack, consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { deadLetters } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

const isUrgent = (delivery: Delivery) => (delivery.record.priority ?? 1) > 1

async function prioritises(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  await scene.publish(scene.records(300, () => ({ priority: 0 })))
  await scene.publish(scene.records(10, () => ({ priority: 3 })))

  const intake = await consume(scene.transport, scene.group, { credit: 2 })
  await intake.untilAcknowledged(310)

  const lastUrgent = intake.deliveries.findLastIndex(isUrgent)
  assert(lastUrgent < 30, `the last of ten critical messages came as number ${lastUrgent + 1}`)
}

async function starvesNobody(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  await scene.publish(scene.records(10, () => ({ priority: 0 })))
  await scene.publish(scene.records(600, () => ({ priority: 3 })))

  const intake = await consume(scene.transport, scene.group, { credit: 2 })
  await intake.untilAcknowledged(610, 20_000)

  const firstLow = intake.deliveries.findIndex((each) => !isUrgent(each))
  const lastLow = intake.deliveries.findLastIndex((each) => !isUrgent(each))
  assert(firstLow < 100, `the first low message came as number ${firstLow + 1} of 610`)
  assert(lastLow < 400, `the last low message came as number ${lastLow + 1} of 610`)
}

async function expires(stage: Stage): Promise<void> {
  const scene = await stage.scene({
    consumers: ['worker'],
    deadLetter: { onExpired: 'dead-letter' },
  })
  const dropping = await stage.scene({ deadLetter: { onExpired: 'drop' } })
  const soon = () => ({ expiresAt: Date.now() + 300 })
  const fresh = scene.record({ expiresAt: Date.now() + 60_000 })
  const expired = scene.record(soon())
  await scene.publish([expired, fresh])
  await dropping.publish([dropping.record(soon())])
  await sleep(600)

  const intake = await consume(scene.transport, scene.group)
  const other = await consume(dropping.transport, dropping.group)
  await intake.untilAcknowledged(1)
  const [letter] = await deadLetters(scene, 1)
  await waitUntil(async () => (await expiredCount(dropping)) === 1, {
    boundMs: 5000,
    what: () => 'the dropped message to be counted as expired',
  })

  assert.deepEqual(intake.ids(), [fresh.id], 'an expired message never reaches the handler')
  assert.equal(letter?.messageId, expired.id)
  assert.equal(letter?.reason, 'EXPIRED')
  assert.equal(other.deliveries.length, 0)
  assert.equal(await dropping.transport.dead.count({ event: dropping.type }), 0)
  assert.equal(await expiredCount(scene), 1)
}

async function expiredCount(scene: Awaited<ReturnType<Stage['scene']>>): Promise<number> {
  const { counts } = await scene.transport.stats()
  const row = counts.find((each) => each.event === scene.type && each.consumer === 'worker')
  return row?.expired ?? 0
}

async function delays(stage: Stage): Promise<void> {
  const delayMs = Math.min(1000, stage.capabilities.nativeDelayMsMax)
  const scene = await stage.scene()
  const arrivedAt = new Map<string, number>()
  const intake = await consume(scene.transport, scene.group, {
    handle(delivery) {
      arrivedAt.set(delivery.record.id, Date.now())
      return ack(delivery)
    },
  })
  const deliverAt = Date.now() + delayMs
  const later = scene.record({ deliverAt })
  const now = scene.record()

  await scene.publish([later, now])
  await intake.untilAcknowledged(2)

  assert.deepEqual(intake.ids(), [now.id, later.id], 'a message without a delay passes')
  const lateMs = (arrivedAt.get(later.id) ?? 0) - deliverAt
  assert(lateMs >= -20, `it came ${-lateMs} ms before its time`)
  assert(lateMs <= delayMs * 0.2 + 150, `it came ${lateMs} ms after its time`)
}

async function recognisesDuplicates(stage: Stage): Promise<void> {
  const windowMs = Math.min(1200, stage.capabilities.publishDedupWindowMs)
  const scene = await stage.scene()
  const record = scene.record({ dedupWindowMs: windowMs })
  const intake = await consume(scene.transport, scene.group)

  const [first] = await scene.publish([record])
  const [again] = await scene.publish([record])
  const [inBatch, twin] = await scene.publish([
    ...[1, 2].map(() => scene.record({ dedupWindowMs: windowMs, id: `${record.id}-twin` })),
  ])
  await intake.untilAcknowledged(2)
  const afterAck = await scene.publish([record])
  await sleep(windowMs + 400)
  const [fresh] = await scene.publish([record])
  await intake.untilAcknowledged(3)

  assert.equal(first?.duplicate ?? false, false)
  assert.equal(again?.duplicate, true, 'the same id within its window is a duplicate')
  assert.equal(inBatch?.duplicate ?? false, false)
  assert.equal(twin?.duplicate, true, 'also within one batch')
  assert.equal(afterAck[0]?.duplicate, true, 'also when it was handled already')
  assert.equal(fresh?.duplicate ?? false, false, 'after the window it is a new message')
  // Without a key there is no order to keep.
  assert.deepEqual(intake.ids().sort(), [record.id, record.id, `${record.id}-twin`])
}

export const timing: readonly Behaviour[] = [
  {
    number: 25,
    statement: 'lets urgent messages overtake, and starves nobody',
    boundMs: 30_000,
    unless: needs('priorityLevels'),
    async run(stage) {
      await prioritises(stage)
      await starvesNobody(stage)
    },
  },
  {
    number: 26,
    statement: 'never hands an expired message to a handler',
    boundMs: 20_000,
    unless: needs('ttl'),
    run: expires,
  },
  {
    number: 27,
    statement: 'holds a delayed message back until its time and lets others pass',
    boundMs: 15_000,
    unless: needs('nativeDelayMsMax'),
    run: delays,
  },
  {
    number: 28,
    statement: 'recognises an id that is published twice within its window',
    boundMs: 20_000,
    unless: needs('publishDedupWindowMs'),
    run: recognisesDuplicates,
  },
]
