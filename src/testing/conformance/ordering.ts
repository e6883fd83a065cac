import assert from 'node:assert/strict'
import type { Delivery } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { all, needs } from './behaviour.ts'
import { ack, consume, dead, retry } from './intake.ts'
import type { Scene, Stage } from './stage.ts'
import { bytesOf, deadLetters } from './stage.ts'
import { sleep } from './waiting.ts'

const numberOf = (delivery: Delivery): number =>
  JSON.parse(new TextDecoder().decode(delivery.record.body)).number

/** Watches that the messages of a key come one at a time and in the order of their numbers. */
export function orderWatch() {
  const finished = new Map<string, number>()
  const underWay = new Map<string, number>()
  const problems: string[] = []
  return {
    problems,
    begin(delivery: Delivery) {
      const key = delivery.record.key ?? ''
      const other = underWay.get(key)
      const number = numberOf(delivery)
      if (other !== undefined) problems.push(`${key}: ${number} came while ${other} was out`)
      const before = finished.get(key) ?? -1
      if (number <= before) problems.push(`${key}: ${number} came after ${before} was done`)
      if (number > before + 1) problems.push(`${key}: ${number} came when only ${before} was done`)
      underWay.set(key, number)
    },
    end(delivery: Delivery) {
      const key = delivery.record.key ?? ''
      underWay.delete(key)
      finished.set(key, numberOf(delivery))
    },
  }
}

async function ordersUnderLoad(stage: Stage): Promise<void> {
  const { orderKeys, orderMessages } = stage.effort
  const scene = await stage.scene({ ordering: 'per-key' })
  const watch = orderWatch()
  const intake = await consume(scene.transport, scene.group, {
    credit: 16,
    async handle(delivery) {
      watch.begin(delivery)
      if (stage.random() < 0.2) await new Promise((resolve) => setImmediate(resolve))
      watch.end(delivery)
      return ack(delivery)
    },
  })
  const publishing = (async () => {
    for (let number = 0; number < orderMessages; number += 1) {
      const bodies = bytesOf(JSON.stringify({ number }))
      await scene.publish(scene.records(orderKeys, (at) => ({ key: `key-${at}`, body: bodies })))
    }
  })()

  await publishing
  await intake.untilAcknowledged(orderKeys * orderMessages, 170_000)

  assert.deepEqual(watch.problems.slice(0, 5), [], 'each key was handled in its order')
  assert.equal(intake.deliveries.length, orderKeys * orderMessages)
}

function keyed(scene: Scene, key: string, count: number) {
  return scene.records(count, (at) => ({ key, body: bytesOf(JSON.stringify({ number: at })) }))
}

async function ordersAcrossRetry(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key' })
  const intake = await consume(scene.transport, scene.group, {
    handle(delivery) {
      const failing = delivery.record.key === 'a' && numberOf(delivery) === 1
      return failing && delivery.attempt < 4 ? retry(delivery, 150) : ack(delivery)
    },
  })

  await scene.publish([...keyed(scene, 'a', 6), ...keyed(scene, 'b', 6)])
  await intake.untilAcknowledged(12)

  const ofA = intake.deliveries.filter((each) => each.record.key === 'a').map(numberOf)
  const ofB = intake.deliveries.filter((each) => each.record.key === 'b').map(numberOf)
  assert.deepEqual(ofA, [0, 1, 1, 1, 1, 2, 3, 4, 5], 'later messages of the key waited')
  assert.deepEqual(ofB, [0, 1, 2, 3, 4, 5])
}

async function goesOnAfterDead(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key', deadLetter: { onDead: 'next' } })
  const intake = await consume(scene.transport, scene.group, {
    handle: (each) => (numberOf(each) === 1 ? dead(each) : ack(each)),
  })

  await scene.publish(keyed(scene, 'a', 5))
  await intake.untilAcknowledged(4)

  assert.deepEqual(intake.deliveries.map(numberOf), [0, 1, 2, 3, 4], 'the dead one is skipped')
}

async function waitsAfterDead(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key', deadLetter: { onDead: 'block' } })
  let mended = false
  const intake = await consume(scene.transport, scene.group, {
    handle: (each) => (numberOf(each) === 1 && !mended ? dead(each) : ack(each)),
  })
  const sent = [...keyed(scene, 'a', 4), ...keyed(scene, 'b', 4), ...keyed(scene, 'free', 1)]
  await scene.publish(sent)
  const letters = await deadLetters(scene, 2)
  await intake.untilAcknowledged(3)
  await sleep(400)
  const seenBefore = intake.deliveries.length

  mended = true
  const letterOf = (key: string) => letters.find((each) => each.key === key)?.id ?? ''
  await scene.transport.dead.replay(letterOf('a'))
  await intake.untilAcknowledged(6)
  await scene.transport.dead.discard(letterOf('b'))
  await intake.untilAcknowledged(8)

  // In the order in which they were handed out: confirmations of one batch may come later than those of the next.
  const done = (key: string) =>
    intake.deliveries
      .filter((each) => each.record.key === key && intake.acknowledged.includes(each))
      .map(numberOf)
  assert.equal(seenBefore, 5, 'the later messages of a key with a dead letter wait')
  assert.deepEqual(done('a'), [0, 1, 2, 3], 'a replayed message takes its own place')
  assert.deepEqual(done('b'), [0, 2, 3], 'a discarded one lets the key go on')
}

async function afterDead(stage: Stage): Promise<void> {
  await goesOnAfterDead(stage)
  if (stage.capabilities.orderSurvivesDead) await waitsAfterDead(stage)
}

async function keysAreFree(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key' })
  const intake = await consume(scene.transport, scene.group, {
    credit: 8,
    handle: (each) => (each.record.key === 'stuck' ? undefined : ack(each)),
  })
  const free = Array.from({ length: 40 }, (_, at) => scene.record({ key: `free-${at}` }))

  await scene.publish([...keyed(scene, 'stuck', 20), ...free])
  await intake.untilAcknowledged(40)

  assert.equal(intake.unsettled().length, 1, 'one message of the stuck key is out')
}

const keepsOrder = needs('orderedByKey')

export const ordering: readonly Behaviour[] = [
  {
    number: 21,
    statement: 'keeps the order of each key among 16 handlers at work',
    boundMs: 240_000,
    unless: keepsOrder,
    run: ordersUnderLoad,
  },
  {
    number: 22,
    statement: 'keeps the order of a key across retries',
    boundMs: 20_000,
    unless: all(keepsOrder, needs('orderSurvivesRetry')),
    run: ordersAcrossRetry,
  },
  {
    number: 23,
    statement: 'skips a dead message of a key, or makes the key wait, as the contract says',
    boundMs: 30_000,
    unless: keepsOrder,
    run: afterDead,
  },
  {
    number: 24,
    statement: 'lets keys go on beside one that is stuck',
    boundMs: 20_000,
    unless: keepsOrder,
    run: keysAreFree,
  },
]
