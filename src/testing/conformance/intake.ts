import type {
  Delivery,
  Failure,
  Settlement,
  SettleResult,
  Transport,
  TransportSubscription,
} from '../../messaging/transport.ts'
import { waitUntil } from './waiting.ts'

export const ack = (delivery: Delivery): Settlement => ({ outcome: 'ack', delivery })
export const retry = (delivery: Delivery, delayMs = 0): Settlement => ({
  outcome: 'retry',
  delivery,
  delayMs,
})
export const release = (delivery: Delivery): Settlement => ({ outcome: 'release', delivery })
export const dead = (delivery: Delivery, failure: Partial<Failure> = {}): Settlement => ({
  outcome: 'dead',
  delivery,
  failure: { reason: 'HANDLER_FAILED', ...failure },
})

export interface IntakeOptions {
  /** Unsettled deliveries at a time. Default 16. */
  readonly credit?: number
  /** False: credit that was used is not given back. Default true. */
  readonly renews?: boolean
  readonly replica?: string
  /** What becomes of a delivery; nothing leaves it unsettled. Default: it is acknowledged. */
  readonly handle?: (delivery: Delivery) => Settlement | undefined | Promise<Settlement | undefined>
}

/** A consumer that remembers: the smallest stand-in for the bus. */
export interface Intake {
  readonly subscription: TransportSubscription
  /** Everything that was handed out, in order. */
  readonly deliveries: readonly Delivery[]
  /** Deliveries whose acknowledgement the broker has confirmed, in order. */
  readonly acknowledged: readonly Delivery[]
  readonly lost: readonly Delivery[]
  ids(): string[]
  /** Deliveries of the message with this id. */
  of(id: string): Delivery[]
  /** Resolves once that many deliveries came. */
  until(count: number, boundMs?: number): Promise<void>
  /** Resolves once that many acknowledgements are confirmed. */
  untilAcknowledged(count: number, boundMs?: number): Promise<void>
  /** Settles by hand and records the outcome. */
  settle(...settlements: Settlement[]): Promise<readonly SettleResult[]>
  /** Deliveries that are neither settled nor lost. */
  unsettled(): Delivery[]
}

/**
 * Subscribes to `group` and hands each delivery to `handle`. Settlements of one turn of the event
 * loop go to the transport together, as the bus sends them.
 */
export async function consume(
  transport: Transport,
  group: string,
  options: IntakeOptions = {},
): Promise<Intake> {
  const { credit = 16, handle = ack, renews = true } = options
  const deliveries: Delivery[] = []
  const acknowledged: Delivery[] = []
  const lost: Delivery[] = []
  const open = new Set<Delivery>()
  const problems: unknown[] = []
  let batch: Settlement[] = []
  let subscription: TransportSubscription | undefined

  async function settle(...settlements: Settlement[]): Promise<readonly SettleResult[]> {
    const results = await transport.settle(settlements)
    for (const [at, settlement] of settlements.entries()) {
      const result = results[at]
      if (!result)
        throw new Error(`settle gave ${results.length} results for ${settlements.length}`)
      open.delete(settlement.delivery)
      if (result.ok && settlement.outcome === 'ack') acknowledged.push(settlement.delivery)
      if (!result.ok && result.reason === 'lost') lost.push(settlement.delivery)
      if (!result.ok && result.reason === 'error') problems.push(result.error)
    }
    if (renews) subscription?.grant(settlements.length)
    return results
  }

  function enqueue(settlement: Settlement): void {
    batch.push(settlement)
    if (batch.length > 1) return
    setImmediate(() => {
      const together = batch
      batch = []
      settle(...together).catch((error: unknown) => problems.push(error))
    })
  }

  async function take(delivery: Delivery): Promise<void> {
    deliveries.push(delivery)
    open.add(delivery)
    const settlement = await handle(delivery)
    if (settlement) enqueue(settlement)
  }

  subscription = await transport.subscribe(
    { group, ...(options.replica === undefined ? {} : { replica: options.replica }) },
    (arrived) => {
      for (const delivery of arrived) {
        take(delivery).catch((error: unknown) => problems.push(error))
      }
    },
  )
  subscription.grant(credit)

  async function untilCount(list: readonly unknown[], count: number, boundMs: number) {
    await waitUntil(
      () => {
        if (problems.length > 0) throw problems[0]
        return list.length >= count
      },
      {
        boundMs,
        what: () =>
          `${count} ${list === deliveries ? 'deliveries' : 'acknowledgements'} of group "${group}": ${list.length} came` +
          (list.length < 12 ? ` (${deliveries.map((each) => each.record.id).join(', ')})` : ''),
      },
    )
  }

  return {
    subscription,
    deliveries,
    acknowledged,
    lost,
    ids: () => deliveries.map((delivery) => delivery.record.id),
    of: (id) => deliveries.filter((delivery) => delivery.record.id === id),
    until: (count, boundMs = 10_000) => untilCount(deliveries, count, boundMs),
    untilAcknowledged: (count, boundMs = 10_000) => untilCount(acknowledged, count, boundMs),
    settle,
    unsettled: () => [...open],
  }
}
