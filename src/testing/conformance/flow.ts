import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Behaviour } from './behaviour.ts'
import { ack, consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed + process.memoryUsage().external
}

async function boundsCredit(stage: Stage): Promise<void> {
  const credit = 10
  const scene = await stage.scene()
  const body = new Uint8Array(500)
  for (let published = 0; published < stage.effort.backlog; published += 1000) {
    await scene.publish(scene.records(1000, () => ({ body })))
  }
  const before = heapBytes()

  const intake = await consume(scene.transport, scene.group, { credit, handle: () => undefined })
  await intake.until(credit)
  await sleep(500)
  const grewBytes = heapBytes() - before
  const stuck = intake.deliveries.length
  await intake.settle(...intake.unsettled().slice(0, 3).map(ack))
  await intake.until(credit + 3)
  await sleep(200)

  assert.equal(stuck, credit, 'no more are out than the credit allows')
  assert.equal(intake.deliveries.length, credit + 3, 'new credit gives as many more')
  const grewMiB = Math.round(grewBytes / 1_048_576)
  assert(grewBytes < 16 * 1_048_576, `a stuck handler took ${grewMiB} MiB for a backlog`)
}

async function startsWithoutCredit(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  await scene.publish(scene.records(3))

  const intake = await consume(scene.transport, scene.group, { credit: 0 })
  await sleep(300)

  assert.equal(intake.deliveries.length, 0, 'nothing comes before credit is granted')
}

async function pausesAndResumes(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, { credit: 4 })
  const { subscription } = intake
  await waitUntil(() => subscription.isReady, { boundMs: 5000, what: () => 'readiness' })
  const rounds = 20
  for (let round = 0; round < rounds; round += 1) {
    subscription.pause()
    const seen = intake.deliveries.length
    await scene.publish(scene.records(5))
    await sleep(30)
    assert.equal(intake.deliveries.length, seen, `nothing came while paused (round ${round})`)
    subscription.resume()
    await intake.untilAcknowledged((round + 1) * 5)
  }
  await sleep(100)

  assert.equal(intake.deliveries.length, rounds * 5)
  assert.equal(new Set(intake.ids()).size, rounds * 5, 'nothing came twice')
  const { groups } = await scene.transport.stats()
  const row = groups.find((each) => each.group === scene.group)
  assert.equal(row?.inFlight ?? 0, 0, 'no lease leaked')
}

export const flow: readonly Behaviour[] = [
  {
    number: 29,
    statement: 'never has more out than the credit, and holds no backlog in memory',
    boundMs: 120_000,
    async run(stage) {
      await startsWithoutCredit(stage)
      await boundsCredit(stage)
    },
  },
  {
    number: 30,
    statement: 'pauses and resumes twenty times without losing, repeating or leaking',
    boundMs: 30_000,
    run: pausesAndResumes,
  },
]
