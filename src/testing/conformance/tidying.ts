import assert from 'node:assert/strict'
import { isTreatyError } from '../../core/errors.ts'
import type { TopologySurplus, Transport } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { needsInventory } from './behaviour.ts'
import { consume } from './intake.ts'
import type { Scene, Stage } from './stage.ts'
import { waitUntil } from './waiting.ts'

const none: TopologySurplus = { subscriptions: [], groups: [], channels: [] }

/** What of this scene is on the broker, among whatever else is. */
async function there({ transport, address, topology }: Scene) {
  const inventory = await transport.inventory?.()
  assert(inventory, 'the behaviour is gated on inventory')
  const names = topology.groups.map(({ name }) => name)
  return {
    channels: inventory.channels.map((each) => each.address).filter((each) => each === address),
    groups: inventory.groups.filter(({ name }) => names.includes(name)),
  }
}

async function refusal(work: Promise<unknown> | undefined): Promise<string> {
  try {
    await work
  } catch (error) {
    return isTreatyError(error) ? error.code : String(error)
  }
  return 'nothing'
}

async function takesAwayWhatIsNamed(stage: Stage): Promise<void> {
  const scene = await stage.scene({ consumers: ['worker', 'other'] })
  const [worker, other] = [scene.group, scene.groupOf('other')]
  const remove = (surplus: Partial<TopologySurplus>, by: Transport = scene.transport) =>
    by.remove?.({ ...none, ...surplus })
  await scene.publish(scene.records(2))

  const before = await there(scene)
  assert.deepEqual(before.channels, [scene.address], 'the inventory names the channel once')
  assert.deepEqual(before.groups.map(({ name }) => name).sort(), [worker, other].sort())
  for (const { name, addresses } of before.groups) {
    assert.deepEqual([...addresses], [scene.address], `"${name}" reads the channel`)
  }

  const inUse = await refusal(remove({ groups: [other], channels: [scene.address] }))
  assert.equal(inUse, 'TOPOLOGY_IN_USE', 'a channel that a group still reads stays')
  await remove({ groups: [other] })
  await remove({ groups: [other] })
  const between = await there(scene)
  assert.deepEqual(between.channels, [scene.address], 'the channel stays')
  assert.deepEqual(
    between.groups.map(({ name }) => name),
    [worker],
    'only the named group goes',
  )

  const intake = await consume(scene.transport, worker)
  await intake.untilAcknowledged(2)
  await intake.subscription.stop()
  await waitUntil(async () => (await there(scene)).groups.length === 1, {
    boundMs: 5000,
    what: () => 'the group that stays to be in the inventory',
  })
  await remove({ groups: [worker], channels: [scene.address] })
  assert.deepEqual(await there(scene), { channels: [], groups: [] }, 'all that was named is gone')

  const anew = await scene.transport.ensure(scene.topology, 'create')
  assert(anew.created.length > 0, 'what was taken away is made anew')
  assert.equal((await there(scene)).groups.length, 2)
}

export const tidying: readonly Behaviour[] = [
  {
    number: 46,
    statement: 'names every channel and group that is there, and takes away only what is named',
    boundMs: 30_000,
    unless: needsInventory,
    run: takesAwayWhatIsNamed,
  },
]
