import type {
  Delivery,
  OutgoingRecord,
  Settlement,
  SettleResult,
  Topology,
  Transport,
  TransportSubscription,
} from '../messaging/transport.ts'

/** A delivery that a consumer has and has not settled. */
export interface HeldDelivery {
  readonly delivery: Delivery
  /** Of the transport's clock, in milliseconds. */
  readonly since: number
}
export interface SettledDelivery {
  readonly delivery: Delivery
  readonly settlement: Settlement
}

/** What went through a transport. */
export interface Observation {
  /** Messages that the broker took, in order; duplicates that it recognised are not among them. */
  readonly published: readonly OutgoingRecord[]
  readonly settled: readonly SettledDelivery[]
  readonly held: ReadonlySet<HeldDelivery>
  /** Groups that somebody reads at present. */
  activeGroups(): ReadonlySet<string>
  /** Name of the consumer that owns a group. */
  consumerOf(group: string): string | undefined
  /** Grows with everything that happens. */
  steps(): number
}

interface Notes {
  readonly published: OutgoingRecord[]
  readonly settled: SettledDelivery[]
  readonly held: Map<Delivery, HeldDelivery>
  readonly heldNow: Set<HeldDelivery>
  readonly readers: Map<string, number>
  readonly consumers: Map<string, string>
  steps: number
}

function noteSettled(notes: Notes, settlement: Settlement, result: SettleResult | undefined): void {
  notes.steps += 1
  if (result && !result.ok && result.reason === 'error') return
  const held = notes.held.get(settlement.delivery)
  notes.held.delete(settlement.delivery)
  if (held) notes.heldNow.delete(held)
  if (!result?.ok) return
  notes.settled.push({ delivery: settlement.delivery, settlement })
  if (settlement.outcome === 'ack') notes.published.push(...(settlement.publish ?? []))
}

function watchedSubscription(
  notes: Notes,
  group: string,
  subscription: TransportSubscription,
): TransportSubscription {
  let reads = true
  const change = (by: number) => {
    notes.steps += 1
    notes.readers.set(group, (notes.readers.get(group) ?? 0) + by)
  }
  const setReading = (next: boolean) => {
    if (next !== reads) change(next ? 1 : -1)
    reads = next
  }
  change(1)
  return {
    grant: (count) => subscription.grant(count),
    pause() {
      setReading(false)
      subscription.pause()
    },
    resume() {
      setReading(true)
      subscription.resume()
    },
    stop() {
      setReading(false)
      return subscription.stop()
    },
    get isReady() {
      return subscription.isReady
    },
  }
}

function noteTopology(notes: Notes, topology: Topology): void {
  for (const group of topology.groups) notes.consumers.set(group.name, group.consumer)
}

/**
 * A transport that tells what goes through it. Several buses may share it: it connects once, and closes
 * with the first that closes.
 */
export function observeTransport(
  inner: Transport,
  now: () => number,
): { transport: Transport; observation: Observation } {
  const notes: Notes = {
    published: [],
    settled: [],
    held: new Map(),
    heldNow: new Set(),
    readers: new Map(),
    consumers: new Map(),
    steps: 0,
  }
  let connected: Promise<void> | undefined
  const { browse, inboxSeen } = inner

  const transport: Transport = {
    name: inner.name,
    capabilities: inner.capabilities,
    dead: inner.dead,
    connect(signal) {
      connected ??= inner.connect(signal)
      return connected
    },
    close: (options) => inner.close(options),
    ensure(topology, mode) {
      noteTopology(notes, topology)
      return inner.ensure(topology, mode)
    },
    async publish(records, signal) {
      const results = await inner.publish(records, signal)
      for (const [at, result] of results.entries()) {
        const record = records[at]
        if (record && 'id' in result && !result.duplicate) notes.published.push(record)
      }
      notes.steps += 1
      return results
    },
    async subscribe(spec, sink) {
      const subscription = await inner.subscribe(spec, (deliveries) => {
        notes.steps += 1
        for (const delivery of deliveries) {
          const held = { delivery, since: now() }
          notes.held.set(delivery, held)
          notes.heldNow.add(held)
        }
        sink(deliveries)
      })
      return watchedSubscription(notes, spec.group, subscription)
    },
    async settle(settlements) {
      const results = await inner.settle(settlements)
      for (const [at, each] of settlements.entries()) noteSettled(notes, each, results[at])
      return results
    },
    stats: () => inner.stats(),
    onError: (listener) => inner.onError(listener),
    ...(browse ? { browse: (query) => browse.call(inner, query) } : {}),
    ...(inboxSeen ? { inboxSeen: (group, keys) => inboxSeen.call(inner, group, keys) } : {}),
  }
  const observation: Observation = {
    published: notes.published,
    settled: notes.settled,
    held: notes.heldNow,
    activeGroups: () =>
      new Set([...notes.readers].filter(([, count]) => count > 0).map(([group]) => group)),
    consumerOf: (group) => notes.consumers.get(group),
    steps: () => notes.steps,
  }
  return { transport, observation }
}
