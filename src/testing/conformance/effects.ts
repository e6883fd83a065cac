import assert from 'node:assert/strict'
import type { Behaviour } from './behaviour.ts'
import { needs } from './behaviour.ts'
import { ack, consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { sleep } from './waiting.ts'

async function effectsBelongToTheirOwn(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, { handle: () => undefined })
  await scene.publish(scene.records(3))
  await intake.until(3)
  const [first, second, third] = intake.deliveries
  assert(first && second && third)
  const ran: string[] = []
  const until = Date.now() + 60_000
  const follow = scene.record({ id: `${scene.group}-follow` })
  const never = scene.record({ id: `${scene.group}-never` })

  const results = await scene.transport.settle([
    {
      outcome: 'ack',
      delivery: first,
      effect: () => void ran.push('first'),
      inbox: { key: 'a', untilMs: until },
      publish: [follow],
    },
    {
      outcome: 'ack',
      delivery: second,
      effect: () => {
        throw new Error('no money left')
      },
      inbox: { key: 'b', untilMs: until },
      publish: [never],
    },
    { outcome: 'ack', delivery: third, effect: () => void ran.push('third') },
  ])
  await intake.until(4)
  await sleep(200)

  assert.deepEqual(results[0], { ok: true })
  assert.equal(results[1]?.ok, false, 'an effect that throws undoes its settlement')
  assert.equal(results[1]?.ok === false && results[1].reason, 'error')
  assert.match(
    String(results[1]?.ok === false && 'error' in results[1] && results[1].error),
    /no money left/,
  )
  assert.deepEqual(results[2], { ok: true }, 'and only its own')
  // Each in a transaction of its own, at the same time.
  assert.deepEqual(ran.toSorted(), ['first', 'third'])
  assert.deepEqual(await scene.transport.inboxSeen?.(scene.group, ['a', 'b']), [true, false])
  assert(intake.ids().includes(follow.id), 'what an acknowledgement publishes is published')
  assert(!intake.ids().includes(never.id), 'what an undone acknowledgement would publish is not')
  const [again] = await scene.transport.settle([ack(second)])
  assert.deepEqual(again, { ok: true }, 'the delivery is still out after its effect threw')
}

async function inboxEnds(stage: Stage): Promise<void> {
  const scene = await stage.scene({ consumers: ['worker', 'other'] })
  const intake = await consume(scene.transport, scene.group, { handle: () => undefined })
  await scene.publish(scene.records(2))
  await intake.until(2)
  const [first, second] = intake.deliveries
  assert(first && second)

  await scene.transport.settle([
    { outcome: 'ack', delivery: first, inbox: { key: 'short', untilMs: Date.now() + 400 } },
    { outcome: 'ack', delivery: second, inbox: { key: 'long', untilMs: Date.now() + 60_000 } },
  ])
  const seen = (group: string) => scene.transport.inboxSeen?.(group, ['short', 'long', 'never'])
  const before = await seen(scene.group)
  const elsewhere = await seen(scene.groupOf('other'))
  await sleep(600)
  const after = await seen(scene.group)

  assert.deepEqual(before, [true, true, false])
  assert.deepEqual(elsewhere, [false, false, false], 'an inbox belongs to its group')
  assert.deepEqual(after, [false, true, false], 'a completed key is forgotten at its time')
}

export const effects: readonly Behaviour[] = [
  {
    number: 44,
    statement:
      'runs an effect, its inbox row and its messages with the acknowledgement or not at all',
    boundMs: 15_000,
    unless: needs('transactions'),
    run: effectsBelongToTheirOwn,
  },
  {
    number: 45,
    statement: 'remembers a completed inbox key for its group until its time',
    boundMs: 15_000,
    unless: needs('transactions'),
    run: inboxEnds,
  },
]
