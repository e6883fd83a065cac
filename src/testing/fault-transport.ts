import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { seededRandom } from '../core/random.ts'
import type {
  Delivery,
  DeliverySink,
  OutgoingRecord,
  PublishResult,
  Settlement,
  SettleResult,
  Transport,
} from '../messaging/transport.ts'

/** How often what goes wrong, as probabilities from 0 to 1. */
export interface FaultOptions {
  /** The same seed gives the same faults for the same calls. */
  readonly seed: number
  /** A settlement that never reaches the broker: it says `lost`, and the message comes again. */
  readonly dropAck?: number
  /** A delivery that is handed out twice. */
  readonly duplicate?: number
  /** A delivery that comes up to {@link FaultOptions.delayMsMax} late. */
  readonly delay?: number
  /** Milliseconds. Default 50. */
  readonly delayMsMax?: number
  /** A delivery that lets the next of another key pass. */
  readonly reorder?: number
  /** A record that the broker refuses before it took it. */
  readonly failPublish?: number
  /** A record that the broker took although the publisher is told that it failed: the ambiguous case. */
  readonly loseConfirm?: number
  readonly clock?: Clock
}

/** What went wrong so far. */
export interface FaultCounts {
  readonly droppedAcks: number
  readonly duplicated: number
  readonly delayed: number
  readonly reordered: number
  readonly failedPublishes: number
  readonly lostConfirms: number
}

interface FaultState {
  readonly options: FaultOptions
  readonly random: Random
  readonly counts: { -readonly [Name in keyof FaultCounts]: number }
  /** Deliveries that were handed out twice, by the copy. */
  readonly copies: Map<Delivery, Delivery>
  /** Originals that were settled: the copy comes too late then, and the other way round. */
  readonly settled: WeakSet<Delivery>
}

function strikes(state: FaultState, probability: number | undefined): boolean {
  return probability !== undefined && probability > 0 && state.random() < probability
}

function refusal(record: OutgoingRecord): PublishResult {
  const text = `the connection broke while "${record.id}" was published (a fault that was asked for)`
  return { error: new TreatyError('TRANSPORT_FAILED', text) }
}

async function publishWithFaults(
  inner: Transport,
  state: FaultState,
  records: readonly OutgoingRecord[],
  signal?: AbortSignal,
): Promise<PublishResult[]> {
  const { failPublish, loseConfirm } = state.options
  const fates = records.map((record) => ({
    record,
    fails: strikes(state, failPublish),
    loses: strikes(state, loseConfirm),
  }))
  const sent = fates.filter((fate) => !fate.fails).map((fate) => fate.record)
  const results = sent.length === 0 ? [] : await inner.publish(sent, signal)
  let taken = 0
  return fates.map(({ record, fails, loses }) => {
    if (fails) {
      state.counts.failedPublishes += 1
      return refusal(record)
    }
    const result = results[taken] ?? refusal(record)
    taken += 1
    if (!loses || 'error' in result) return result
    state.counts.lostConfirms += 1
    return refusal(record)
  })
}

/** Hands on with copies, in another order, or late. */
function faultySink(state: FaultState, sink: DeliverySink): DeliverySink {
  const { clock = systemClock, delay, delayMsMax = 50, duplicate, reorder } = state.options
  return (deliveries) => {
    const now: Delivery[] = []
    for (const delivery of swapped(state, deliveries, reorder)) {
      if (strikes(state, delay)) {
        state.counts.delayed += 1
        clock.setTimeout(() => sink([delivery]), state.random() * delayMsMax)
        continue
      }
      now.push(delivery)
      if (strikes(state, duplicate)) {
        state.counts.duplicated += 1
        const copy = { ...delivery }
        state.copies.set(copy, delivery)
        now.push(copy)
      }
    }
    if (now.length > 0) sink(now)
  }
}

/** Neighbours of different keys change places; the order within a key is a promise that faults do not break. */
function swapped(
  state: FaultState,
  deliveries: readonly Delivery[],
  probability: number | undefined,
): Delivery[] {
  const list = [...deliveries]
  for (let at = 0; at + 1 < list.length; at += 1) {
    const [one, two] = [list[at] as Delivery, list[at + 1] as Delivery]
    if (one.record.key !== undefined && one.record.key === two.record.key) continue
    if (!strikes(state, probability)) continue
    state.counts.reordered += 1
    list[at] = two
    list[at + 1] = one
  }
  return list
}

const lost: SettleResult = { ok: false, reason: 'lost' }

async function settleWithFaults(
  inner: Transport,
  state: FaultState,
  settlements: readonly Settlement[],
): Promise<SettleResult[]> {
  const results: SettleResult[] = settlements.map(() => lost)
  const sent: { readonly at: number; readonly settlement: Settlement }[] = []
  for (const [at, settlement] of settlements.entries()) {
    const original = state.copies.get(settlement.delivery) ?? settlement.delivery
    state.copies.delete(settlement.delivery)
    if (state.settled.has(original)) continue
    state.settled.add(original)
    if (strikes(state, state.options.dropAck)) {
      state.counts.droppedAcks += 1
      // What a cut connection leads to: the broker gives the message to somebody again.
      sent.push({ at: -1, settlement: { outcome: 'release', delivery: original } })
    } else sent.push({ at, settlement: { ...settlement, delivery: original } })
  }
  const answers = await inner.settle(sent.map((each) => each.settlement))
  for (const [index, { at, settlement }] of sent.entries()) {
    const answer = answers[index] ?? lost
    if (at >= 0) results[at] = answer
    // An effect that threw leaves the delivery with its consumer.
    if (!answer.ok && answer.reason === 'error') state.settled.delete(settlement.delivery)
  }
  return results
}

/**
 * Any transport with faults that a seed chooses: what real brokers and networks do now and then, as often as
 * a test wants. What the transport promises still holds: at least once, and order within a key (but for
 * `delay`, which lets a later message of a key come first where the transport hands out several).
 */
export function faultTransport(
  inner: Transport,
  options: FaultOptions,
): Transport & { readonly faults: FaultCounts } {
  const state: FaultState = {
    options,
    random: seededRandom(options.seed),
    counts: {
      droppedAcks: 0,
      duplicated: 0,
      delayed: 0,
      reordered: 0,
      failedPublishes: 0,
      lostConfirms: 0,
    },
    copies: new Map(),
    settled: new WeakSet(),
  }
  const { browse, inboxSeen } = inner
  return {
    name: `${inner.name} with faults`,
    capabilities: inner.capabilities,
    dead: inner.dead,
    faults: state.counts,
    connect: (signal) => inner.connect(signal),
    close: (closing) => inner.close(closing),
    ensure: (topology, mode) => inner.ensure(topology, mode),
    publish: (records, signal) => publishWithFaults(inner, state, records, signal),
    subscribe: (spec, sink) => inner.subscribe(spec, faultySink(state, sink)),
    settle: (settlements) => settleWithFaults(inner, state, settlements),
    stats: () => inner.stats(),
    onError: (listener) => inner.onError(listener),
    ...(browse ? { browse: (query) => browse.call(inner, query) } : {}),
    ...(inboxSeen ? { inboxSeen: (group, keys) => inboxSeen.call(inner, group, keys) } : {}),
  }
}
