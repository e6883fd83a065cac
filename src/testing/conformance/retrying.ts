import assert from 'node:assert/strict'
import type { Delivery } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { all, needs, needsConnections, needsProcesses } from './behaviour.ts'
import { ack, consume, dead, release, retry } from './intake.ts'
import type { Stage } from './stage.ts'
import { bytesOf, deadLetters } from './stage.ts'
import { sleep } from './waiting.ts'

/** Within 20 % of `expectedMs`; a busy machine gets 150 ms more on the late side. */
function assertNear(actualMs: number, expectedMs: number, what: string): void {
  const [from, to] = [expectedMs * 0.8, expectedMs * 1.2 + 150]
  assert(
    actualMs >= from && actualMs <= to,
    `${what} took ${Math.round(actualMs)} ms, outside of ${from} to ${to} ms`,
  )
}

async function honoursDelay(stage: Stage): Promise<void> {
  const delayMs = 1000
  const scene = await stage.scene()
  const failing = scene.record()
  const others = scene.records(20)
  const times: number[] = []
  let otherDoneAt = 0
  const intake = await consume(scene.transport, scene.group, {
    credit: 4,
    handle(delivery) {
      if (delivery.record.id !== failing.id) {
        otherDoneAt = performance.now()
        return ack(delivery)
      }
      times.push(performance.now())
      return delivery.attempt === 1 ? retry(delivery, delayMs) : ack(delivery)
    },
  })

  await scene.publish([failing, ...others])
  await intake.untilAcknowledged(21)

  const [first = 0, second = 0] = times
  assertNear(second - first, delayMs, 'the delayed retry')
  assert(otherDoneAt < second, 'the others did not wait for the retry')
}

async function countsAcrossProcesses(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const record = scene.record()
  await scene.publish([record])
  for (let round = 1; round <= 3; round += 1) {
    const child = await stage.child(scene)
    const handler = { kind: 'retry', delayMs: 600 } as const
    await child.call({ kind: 'consume', group: scene.group, credit: 1, handler })
    await child.until((each) => each.of('settled').length > 0, 'the settled retry')
    assert.equal(child.of('delivered')[0]?.attempt, round, `attempt of process ${round}`)
    await child.kill()
  }

  const intake = await consume(scene.transport, scene.group)
  await intake.untilAcknowledged(1)

  const [last] = intake.deliveries
  assert.equal(last?.attempt, 4)
  assert(last?.firstFailedAt !== undefined, 'the time of the first failure is kept')
  assert(last.firstFailedAt < Date.now(), 'the first failure is in the past')
}

async function delaySurvivesRestart(stage: Stage): Promise<void> {
  const delayMs = 2500
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, {
    handle: (delivery) => retry(delivery, delayMs),
  })
  await scene.publish([scene.record()])
  await intake.until(1)
  const failedAt = performance.now()
  await sleep(100)
  await scene.transport.close({ drainMs: 0 })
  await stage.broker.restart?.()

  const again = await consume(await scene.join(), scene.group)
  await again.untilAcknowledged(1)

  assertNear(performance.now() - failedAt, delayMs, 'the retry over a restart')
  assert.equal(again.deliveries[0]?.attempt, 2)
}

async function deadWithRecord(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const record = scene.record({
    key: 'customer-7',
    headers: stage.capabilities.headers ? { 'x-origin': 'test' } : {},
    correlationId: 'correlation-1',
    body: bytesOf('{"broken":true}'),
  })
  const failure = {
    reason: 'HANDLER_FAILED',
    message: 'the card was declined',
    errorClass: 'CardError',
    stack: 'CardError: the card was declined\n    at charge (billing.ts:1:1)',
    findings: [{ code: 'SCHEMA_MISMATCH', message: 'is wrong', severity: 'error' as const }],
    contract: 'shop.orders',
    contractVersion: '2.3.0',
  }
  const intake = await consume(scene.transport, scene.group, {
    handle: (delivery) => (delivery.attempt < 3 ? retry(delivery) : dead(delivery, failure)),
  })
  const startedAt = Date.now()

  await scene.publish([record])
  await intake.until(3)
  const page = await deadLetters(scene, 1)
  const letter = await scene.transport.dead.get(page[0]?.id ?? '')
  await sleep(200)

  assert(letter, 'the dead letter can be read')
  assert.equal(letter.messageId, record.id)
  assert.equal(letter.event, scene.type)
  assert.equal(letter.consumer, 'worker')
  assert.equal(letter.group, scene.group)
  assert.equal(letter.attempts, 3)
  assert.equal(letter.address, scene.address)
  assert.equal(letter.key, 'customer-7')
  assert.equal(letter.correlationId, 'correlation-1')
  assert.equal(letter.contentType, record.contentType)
  assert.deepEqual({ ...letter.headers }, { ...record.headers })
  assert(Buffer.from(letter.body).equals(record.body), 'the bytes are the original ones')
  const { reason, message, errorClass, stack, findings, contract, contractVersion } = letter
  const kept = { reason, message, errorClass, stack, findings, contract, contractVersion }
  assert.deepEqual(kept, failure)
  assert(letter.firstFailedAt >= startedAt - 5000 && letter.firstFailedAt <= letter.failedAt)
  assert.equal(intake.deliveries.length, 3, 'a dead message is not handed out again')
  assert.deepEqual(
    intake.deliveries.map((each) => each.attempt),
    [1, 2, 3],
  )
}

async function deadAtOnce(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, {
    handle: (delivery) => dead(delivery, { reason: 'HANDLER_FAILED', message: 'never again' }),
  })

  await scene.publish([scene.record()])
  await intake.until(1)
  const [letter] = await deadLetters(scene, 1)
  await sleep(300)

  assert.equal(letter?.attempts, 1)
  assert.equal(intake.deliveries.length, 1)
}

function decodes(delivery: Delivery): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(delivery.record.body))
    return true
  } catch {
    return false
  }
}

async function undecodable(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const garbage = [
    Uint8Array.from([0xff, 0xfe, 0xfd]),
    bytesOf('{"half":'),
    new Uint8Array(0),
    Uint8Array.from({ length: 2000 }, () => Math.floor(stage.random() * 256)),
  ]
  const bad = garbage.map((body) => scene.record({ body }))
  const good = scene.records(20)
  const intake = await consume(scene.transport, scene.group, {
    handle: (each) => (decodes(each) ? ack(each) : dead(each, { reason: 'SCHEMA_MISMATCH' })),
  })

  await scene.publish(good.flatMap((each, at) => (bad[at] ? [bad[at], each] : [each])))
  await intake.untilAcknowledged(20)
  const letters = await deadLetters(scene, bad.length)

  assert.equal(letters.length, bad.length)
  for (const summary of letters) {
    const letter = await scene.transport.dead.get(summary.id)
    const sent = bad.find((record) => record.id === summary.messageId)
    assert(letter && sent && Buffer.from(letter.body).equals(sent.body), 'the raw bytes are kept')
  }
}

async function crashLoopGuard(stage: Stage): Promise<void> {
  const scene = await stage.scene({ group: { deliveriesMax: 3 } })
  const poison = scene.record()
  await scene.publish([poison])
  let crashes = 0
  for (let round = 0; round < 8; round += 1) {
    const child = await stage.child(scene)
    const handler = { kind: 'crash' } as const
    await child.call({ kind: 'consume', group: scene.group, credit: 1, handler })
    const survivedMs = stage.leaseMs + 2500
    await Promise.race([child.gone, sleep(survivedMs)])
    if (child.of('delivered').length === 0) break
    crashes += 1
  }

  const [summary] = await deadLetters(scene, 1)
  const intake = await consume(scene.transport, scene.group)
  await sleep(300)

  assert.equal(crashes, 3, 'it was handed out deliveriesMax times')
  assert.equal(summary?.messageId, poison.id)
  assert.equal(summary?.reason, 'CRASH_LOOP')
  assert.equal(intake.deliveries.length, 0, 'the handler does not see it again')
}

async function releaseCountsNothing(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, {
    handle: (delivery) => (intake.deliveries.length < 4 ? release(delivery) : ack(delivery)),
  })

  await scene.publish([scene.record()])
  await intake.untilAcknowledged(1)

  assert.deepEqual(
    intake.deliveries.map((each) => each.attempt),
    [1, 1, 1, 1],
  )
  if (stage.capabilities.deliveryCount) {
    assert.deepEqual(
      intake.deliveries.map((each) => each.deliveryCount),
      [1, 2, 3, 4],
    )
  }
}

export const retrying: readonly Behaviour[] = [
  {
    number: 9,
    statement: 'honours the delay of a retry within 20 % and lets the others pass',
    boundMs: 20_000,
    run: honoursDelay,
  },
  {
    number: 10,
    statement: 'counts attempts across processes',
    boundMs: 60_000,
    unless: needsProcesses,
    run: countsAcrossProcesses,
  },
  {
    number: 11,
    statement: 'keeps the delay of a retry over a restart',
    boundMs: 30_000,
    unless: all(needs('durable'), needsConnections),
    run: delaySurvivesRestart,
  },
  {
    number: 12,
    statement: 'keeps a complete dead letter after the last attempt',
    boundMs: 15_000,
    run: deadWithRecord,
  },
  {
    number: 13,
    statement: 'skips every retry of what is settled as dead',
    boundMs: 15_000,
    run: deadAtOnce,
  },
  {
    number: 14,
    statement: 'keeps undecodable bytes as dead letters while the consumer goes on',
    boundMs: 15_000,
    run: undecodable,
  },
  {
    number: 15,
    statement: 'dead-letters a message that kills its process, without handing it out for ever',
    boundMs: 120_000,
    unless: all(needs('deliveryCount'), needsProcesses),
    run: crashLoopGuard,
  },
  {
    number: 16,
    statement: 'counts no attempt for a release',
    boundMs: 15_000,
    run: releaseCountsNothing,
  },
]
