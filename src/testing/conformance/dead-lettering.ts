import assert from 'node:assert/strict'
import type { Delivery } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { all, needs, needsProcesses } from './behaviour.ts'
import { ack, consume, dead } from './intake.ts'
import type { Scene, Stage } from './stage.ts'
import { deadLetters } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

const die = (delivery: Delivery) => dead(delivery, { reason: 'HANDLER_FAILED', message: 'no' })

/** Lets `count` messages die at once and gives their dead letters. */
async function letDie(scene: Scene, count: number) {
  const intake = await consume(scene.transport, scene.group, { credit: 50, handle: die })
  const records = scene.records(count)
  await scene.publish(records)
  await intake.until(count)
  const letters = await deadLetters(scene, count)
  await intake.subscription.stop()
  return { records, letters }
}

async function listsAndFilters(stage: Stage): Promise<void> {
  const scene = await stage.scene({ consumers: ['worker', 'auditor'] })
  const startedAt = Date.now()
  const other = `${scene.type}.other`
  const reasons = ['HANDLER_FAILED', 'SCHEMA_MISMATCH']
  const byNumber = (delivery: Delivery) => {
    const number = Number(delivery.record.id.split('-').at(-1))
    return dead(delivery, { reason: reasons[number % 2] ?? 'HANDLER_FAILED' })
  }
  const worker = await consume(scene.transport, scene.group, { handle: byNumber })
  const auditor = await consume(scene.transport, scene.groupOf('auditor'), {
    handle: (each) => (each.record.type === other ? byNumber(each) : ack(each)),
  })
  await scene.publish(scene.records(20))
  await scene.publish(scene.records(5, () => ({ type: other })))
  await Promise.all([worker.until(25), auditor.until(25)])
  const store = scene.transport.dead
  const counts = (filter: Parameters<typeof store.count>[0]) => store.count(filter)
  await waitUntil(async () => (await counts({ event: other })) === 10, {
    boundMs: 5000,
    what: () => 'ten dead letters of the other event',
  })
  const all = await deadLetters(scene, 20)

  assert.equal(all.length, 20)
  assert.equal(new Set(all.map((each) => each.id)).size, 20, 'no letter came on two pages')
  assert(
    all.every((each) => !('body' in each)),
    'a list carries no bodies',
  )
  assert.equal(await counts({ event: scene.type, consumer: 'worker' }), 20)
  assert.equal(await counts({ event: other, consumer: 'auditor' }), 5)
  assert.equal(await counts({ event: scene.type, reason: 'SCHEMA_MISMATCH' }), 10)
  assert.equal(await counts({ event: scene.type, failedAfter: startedAt - 5000 }), 20)
  assert.equal(await counts({ event: scene.type, failedBefore: startedAt - 5000 }), 0)
  await pagesOf(scene, 7)
  assert.equal(await store.get('no-such-letter'), undefined)
  assert.equal(await store.discard(all[0]?.id ?? ''), true)
  assert.equal(await store.discard(all[0]?.id ?? ''), false, 'a second discard finds nothing')
  assert.equal(await counts({ event: scene.type }), 19)
}

async function pagesOf(scene: Scene, limit: number): Promise<void> {
  const seen: string[] = []
  const failedAt: number[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const page = await scene.transport.dead.list(
      { event: scene.type },
      { limit, ...(cursor === undefined ? {} : { cursor }) },
    )
    assert(page.items.length <= limit, `a page has at most ${limit} letters`)
    seen.push(...page.items.map((each) => each.id))
    failedAt.push(...page.items.map((each) => each.failedAt))
    cursor = page.next
    pages += 1
  } while (cursor !== undefined && pages < 20)
  assert.equal(new Set(seen).size, 20, 'the pages hold every letter once')
  assert.equal(seen.length, 20)
  assert(pages <= 4, `20 letters by ${limit} are at most four pages, not ${pages}`)
}

async function replaysToItsConsumer(stage: Stage): Promise<void> {
  const scene = await stage.scene({ consumers: ['worker', 'auditor'] })
  const auditor = await consume(scene.transport, scene.groupOf('auditor'))
  const { records, letters } = await letDie(scene, 3)
  const letter = letters.find((each) => each.messageId === records[1]?.id)
  assert(letter, 'the dead letter of the second message is listed')
  await auditor.untilAcknowledged(3)

  const intake = await consume(scene.transport, scene.group)
  const replayed = await scene.transport.dead.replay(letter.id)
  await intake.untilAcknowledged(1)
  await sleep(300)

  assert.equal(replayed, true)
  assert.deepEqual(intake.ids(), [records[1]?.id], 'the same message id, and only this one')
  assert.equal(intake.deliveries[0]?.attempt, 1, 'the attempts begin anew')
  assert(
    Buffer.from(intake.deliveries[0]?.record.body ?? []).equals(records[1]?.body ?? Buffer.of(1)),
  )
  assert.equal(auditor.deliveries.length, 3, 'the other consumer does not see it again')
  assert.equal(await scene.transport.dead.get(letter.id), undefined, 'the dead letter is gone')
  assert.equal(await scene.transport.dead.replay(letter.id), false, 'nothing is there to replay')
  assert.equal(await scene.transport.dead.count({ event: scene.type }), 2)
}

async function diesAgain(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const { records, letters } = await letDie(scene, 1)
  const intake = await consume(scene.transport, scene.group, { handle: die })
  for (let round = 1; round <= 3; round += 1) {
    const [letter] = round === 1 ? letters : await deadLetters(scene, 1)
    await scene.transport.dead.replay(letter?.id ?? '')
    await intake.until(round)
  }

  const [last, more] = await deadLetters(scene, 1)

  assert.equal(last?.messageId, records[0]?.id)
  assert.equal(last?.group, scene.group)
  assert.equal(last?.reason, 'HANDLER_FAILED')
  assert.equal(more, undefined, 'one message has one dead letter')
}

async function replayIsCrashSafe(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const count = 60
  const { records } = await letDie(scene, count)
  for (let round = 0; round < stage.effort.killRounds; round += 1) {
    const left = await scene.transport.dead.list({ event: scene.type }, { limit: 100 })
    if (left.items.length === 0) break
    const child = await stage.child(scene)
    // Not awaited: the child is killed in the middle of it.
    void child.call({ kind: 'replay', ids: left.items.map((each) => each.id) })
    const enough = Math.floor(stage.random() * 10)
    await child.until((each) => each.of('replayed').length >= enough, `${enough} replays`)
    await child.kill()
  }

  const intake = await consume(scene.transport, scene.group)
  const wanted = async () => count - (await scene.transport.dead.count({ event: scene.type }))
  await waitUntil(async () => intake.acknowledged.length >= (await wanted()), {
    boundMs: stage.leaseMs + 8000,
    what: () => `every replayed message: ${intake.acknowledged.length} of ${count} came`,
  })

  const remaining = await scene.transport.dead.list({ event: scene.type }, { limit: 100 })
  const found = [...intake.ids(), ...remaining.items.map((each) => each.messageId)]
  assert.deepEqual(found.sort(), records.map((each) => each.id).sort(), 'each is in one place')
}

export const deadLettering: readonly Behaviour[] = [
  {
    number: 17,
    statement: 'lists, filters, pages, counts, gets and discards dead letters',
    boundMs: 20_000,
    run: listsAndFilters,
  },
  {
    number: 18,
    statement: 'replays one dead letter to its consumer alone, same id, attempts anew',
    boundMs: 20_000,
    run: replaysToItsConsumer,
  },
  {
    number: 19,
    statement: 'dead-letters a replayed message that fails again',
    boundMs: 20_000,
    run: diesAgain,
  },
  {
    number: 20,
    statement: 'loses nothing when a process dies in the middle of replays',
    boundMs: 90_000,
    unless: all(needs('durable'), needsProcesses),
    run: replayIsCrashSafe,
  },
]
