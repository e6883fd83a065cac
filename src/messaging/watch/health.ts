import type { BusCore } from '../bus-core.ts'
import type { BusHealth } from '../types.ts'
import { clockSkewProblem } from './broker-facts.ts'
import type { BrokerView } from './broker-watch.ts'

/** Age of the oldest message of an outbox from which something is wrong with its broker or its relay. */
const outboxAgeMsMax = 60_000

/** What is wrong with a bus, its broker, its consumers and its outbox. Never throws. */
export async function healthOf(core: BusCore): Promise<BusHealth> {
  const problems: string[] = []
  try {
    core.assertOpen()
    await core.transport.stats()
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  const reachable = problems.length === 0
  const consumers = [...core.subscriptions()].map(({ consumer, isReady }) => ({
    consumer,
    ready: isReady,
  }))
  for (const { consumer, ready } of consumers) {
    if (!ready) problems.push(`"${consumer}" is not polling`)
  }
  // Work may come in although what goes out is stuck: that is for a person, not for a load balancer.
  const ready = problems.length === 0
  const view = reachable ? await core.brokerWatch?.latest() : undefined
  const all = [...problems, ...brokerProblems(core, view), ...(await outboxProblems(core))]
  const broker = view?.facts
  return {
    live: true,
    ready,
    problems: all,
    reachable,
    consumers,
    drift: view?.drift ?? [],
    ...(broker === undefined ? {} : { broker }),
  }
}

function brokerProblems({ transport }: BusCore, view: BrokerView | undefined): string[] {
  const drift = (view?.drift ?? []).filter(({ severity }) => severity === 'error')
  const skew = view?.facts && clockSkewProblem(view.facts, transport.name)
  return [...drift.map(({ message }) => message), ...(skew === undefined ? [] : [skew])]
}

async function outboxProblems({ outboxDesk }: BusCore): Promise<string[]> {
  if (outboxDesk === undefined) return []
  try {
    const { parked, oldestAgeMs } = await outboxDesk.status()
    return [
      ...(parked > 0 ? [`${parked} parked in the outbox`] : []),
      ...(oldestAgeMs !== null && oldestAgeMs > outboxAgeMsMax
        ? [`the oldest message of the outbox waits since ${Math.round(oldestAgeMs / 1000)} s`]
        : []),
    ]
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
