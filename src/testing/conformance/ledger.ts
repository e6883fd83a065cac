import assert from 'node:assert/strict'
import type { Delivery, Topology } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { deniedClaims, needs } from './behaviour.ts'
import { ack, consume, dead, retry } from './intake.ts'
import type { Scene, Stage } from './stage.ts'
import { deadLetters } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

async function ensures(stage: Stage): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key' })
  const other = await stage.scene()
  const fresh: Topology = {
    channels: scene.topology.channels.map((each) => ({ ...each, address: `${each.address}.new` })),
    groups: scene.topology.groups.map((each) => ({
      ...each,
      name: `${each.name}.new`,
      subscriptions: [{ address: `${scene.address}.new`, types: '*' as const }],
    })),
  }
  const { transport } = scene

  const before = await transport.ensure(fresh, 'verify')
  const created = await transport.ensure(fresh, 'create')
  const again = await transport.ensure(fresh, 'create')
  const after = await transport.ensure(fresh, 'verify')
  const changed = await transport.ensure(
    { ...fresh, channels: fresh.channels.map((each) => ({ ...each, ordering: 'none' as const })) },
    'verify',
  )

  assert(before.missing.length > 0, 'verify names what is missing')
  assert.deepEqual(before.created, [], 'verify creates nothing')
  assert(created.created.length > 0, 'create says what it made')
  assert.deepEqual(again.created, [], 'create is idempotent')
  assert.deepEqual([...again.missing, ...after.missing], [])
  assert.deepEqual([...again.drift, ...after.drift], [])
  assert(changed.drift.length > 0, 'verify reports that a channel keeps another order')
  const untouched = await other.transport.ensure(other.topology, 'verify')
  assert.deepEqual(untouched.missing, [], 'what others made is still there')
}

async function rowOf(scene: Scene) {
  const stats = await scene.transport.stats()
  const find = (consumer: string | null) =>
    stats.counts.find((each) => each.event === scene.type && each.consumer === consumer)
  return {
    event: find(null),
    row: find('worker'),
    group: stats.groups.find((each) => each.group === scene.group),
  }
}

/** What becomes of a delivery, by how many came before it: messages without a key come in any order. */
function byNumber(delivery: Delivery, number: number) {
  if (number <= 4) return ack(delivery)
  if (number <= 6) return { outcome: 'ack' as const, delivery, as: 'skipped' as const }
  if (number === 7) return dead(delivery)
  if (number === 8) return { outcome: 'drop' as const, delivery }
  if (number === 9) return retry(delivery, 60_000)
  return undefined
}

async function counts(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group, {
    credit: 11,
    renews: false,
    handle: (delivery) => byNumber(delivery, intake.deliveries.length),
  })
  await scene.publish(scene.records(15))
  await intake.until(11)
  await waitUntil(() => intake.unsettled().length === 2, {
    boundMs: 5000,
    what: () => `two held deliveries, not ${intake.unsettled().length}`,
  })
  await sleep(1000)

  const { event, row, group } = await rowOf(scene)

  assert.equal(event?.published, 15)
  assert(row && group, 'the consumer and its group have rows')
  const { deliveries, handled, skipped, retried, dead: died, expired, waiting } = row
  assert.equal(deliveries, 15)
  assert.equal(handled, 4)
  assert.equal(skipped, 2)
  assert.equal(died, 1)
  assert.equal(retried, 1)
  assert.equal(expired, 1, 'a drop counts as expired')
  const letters = await scene.transport.dead.count({ event: scene.type })
  assert.equal(letters, 1, 'a drop leaves no dead letter, even where expired messages do')
  assert.equal(waiting, 7, 'one delayed, two in flight, four ready')
  assert.equal(deliveries, handled + skipped + died + expired + waiting)
  assert.equal(group.inFlight + group.ready, 6)
  assert.equal(group.delayed, 1)
  assert.equal(group.blocked, 0)
  assert(group.oldestAgeMs !== null && group.oldestAgeMs >= 900 && group.oldestAgeMs < 60_000)
}

async function countsReplay(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  let mended = false
  const intake = await consume(scene.transport, scene.group, {
    handle: (delivery) => (mended ? ack(delivery) : dead(delivery)),
  })
  await scene.publish(scene.records(2))
  const [letter] = await deadLetters(scene, 2)
  mended = true
  await scene.transport.dead.replay(letter?.id ?? '')
  await intake.untilAcknowledged(1)
  await sleep(300)

  const { row } = await rowOf(scene)

  assert(row)
  const total = row.handled + row.skipped + row.dead + row.expired + row.waiting
  assert.equal(row.deliveries, total, 'the ledger balances after a replay')
  assert.equal(row.handled, 1)
  assert.equal(row.waiting, 0)
}

async function explainsDenials(stage: Stage): Promise<void> {
  const { capabilities } = stage
  const silent = deniedClaims(capabilities).filter((claim) => !capabilities.denials[claim])
  assert.deepEqual(silent, [], 'each denied capability has a sentence that says why')
}

export const ledger: readonly Behaviour[] = [
  {
    number: 39,
    statement: 'creates what is missing, changes nothing twice, and reports drift',
    boundMs: 15_000,
    unless: (facts) =>
      // Where no order is kept a channel has nothing that could drift in a way that matters.
      needs('orderedByKey')(facts),
    run: ensures,
  },
  {
    number: 40,
    statement: 'has statistics that are right within a second and balance',
    boundMs: 20_000,
    async run(stage) {
      await counts(stage)
      await countsReplay(stage)
    },
  },
  {
    number: 43,
    statement: 'says why it denies what it denies',
    boundMs: 1000,
    run: explainsDenials,
  },
]
