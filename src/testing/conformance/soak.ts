import assert from 'node:assert/strict'
import type { Behaviour } from './behaviour.ts'
import { needsConnections, needsProcesses } from './behaviour.ts'
import type { Child } from './child-process.ts'
import { assertBalanced } from './disruption.ts'
import { ack, consume } from './intake.ts'
import type { Scene, Stage } from './stage.ts'
import { sleep, waitUntil } from './waiting.ts'

/** A consumer that can be ended politely or not. */
interface Restartable {
  readonly handled: () => readonly string[]
  end(abruptly: boolean): Promise<void>
}

async function inProcess(stage: Stage, scene: Scene): Promise<Restartable> {
  const joined = await scene.join()
  const intake = await consume(joined, scene.group, {
    credit: 8,
    async handle(delivery) {
      await sleep(stage.random() * 4)
      return ack(delivery)
    },
  })
  return {
    handled: () => intake.acknowledged.map((each) => each.record.id),
    end: (abruptly) => joined.close({ drainMs: abruptly ? 0 : 2000 }),
  }
}

async function ownProcess(stage: Stage, scene: Scene): Promise<Restartable> {
  const child: Child = await stage.child(scene)
  const handler = { kind: 'ack', workMs: 2 } as const
  await child.call({ kind: 'consume', group: scene.group, credit: 8, handler })
  return {
    handled: () =>
      child
        .of('settled')
        .filter((event) => event.ok)
        .map((event) => event.messageId),
    async end(abruptly) {
      if (!abruptly) await child.call({ kind: 'close', drainMs: 2000 })
      await child.kill()
    },
  }
}

async function soaks(stage: Stage, processes: boolean): Promise<void> {
  const scene = await stage.scene({ ordering: 'per-key' })
  const start = () => (processes ? ownProcess(stage, scene) : inProcess(stage, scene))
  const confirmed: string[] = []
  const handled = new Map<string, number>()
  let abrupt = 0
  let ended = false
  const publishing = (async () => {
    while (!ended) {
      const batch = scene.records(10, (at) => ({ key: `key-${at}` }))
      const taken = await scene.publish(batch)
      confirmed.push(...taken.map((each) => each.id))
      await sleep(15)
    }
  })()
  const retire = async (consumer: Restartable, abruptly: boolean) => {
    await consumer.end(abruptly)
    for (const id of consumer.handled()) handled.set(id, (handled.get(id) ?? 0) + 1)
  }
  const lane = async () => {
    const until = performance.now() + stage.effort.soakMs
    while (performance.now() < until) {
      const consumer = await start()
      await sleep(300 + stage.random() * 1500)
      const abruptly = stage.random() < 0.5
      if (abruptly) abrupt += 1
      await retire(consumer, abruptly)
    }
  }
  await Promise.all([lane(), lane()])
  ended = true
  await publishing

  const last = await start()
  await waitUntil(async () => (await waitingIn(scene)) === 0, {
    boundMs: stage.leaseMs + 60_000,
    what: () => `the last of ${confirmed.length} messages to be handled`,
  })
  await retire(last, false)

  const missing = confirmed.filter((id) => !handled.has(id))
  const twice = [...handled].filter(([, times]) => times > 1)
  // A process that dies between the durable acknowledgement and telling of it handled what it had out.
  const untold = processes ? abrupt * 8 : 0
  assert(missing.length <= untold, `${missing.length} ids are missing, such as "${missing[0]}"`)
  assert.deepEqual(twice, [], 'no message was acknowledged twice')
  await assertBalanced(scene)
}

async function waitingIn(scene: Scene): Promise<number> {
  const { groups } = await scene.transport.stats()
  const group = groups.find((each) => each.group === scene.group)
  return group ? group.ready + group.inFlight + group.delayed + group.blocked : -1
}

/** Behaviour 42, for adapters with and without processes of their own. */
export function soak(withProcesses: boolean): Behaviour {
  return {
    number: 42,
    statement: 'keeps its ledger balanced while two consumers are restarted at random',
    boundMs: 120_000,
    unless: withProcesses ? needsProcesses : needsConnections,
    run: (stage) => soaks(stage, withProcesses),
  }
}
