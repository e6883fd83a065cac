import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Clock } from '../../../core/clock.ts'
import { delay } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { LaneGroup, LaneWrite, WriteResult } from '../../lanes/driver.ts'
import { createLaneGroup } from '../../lanes/lane-group.ts'
import type { DeliverySink, GroupTopology, TransportSubscription } from '../../transport.ts'
import type { Runner, RunnerSnapshot } from './group-runner.ts'
import { changeOf, count, counterOf, noCounts } from './journal.ts'
import { ackTag } from './lane-acks.ts'
import { laneWindow } from './lane-holder.ts'
import type { Link } from './link.ts'
import { laneName, type Names } from './names.ts'
import { fromWire } from './wire.ts'

export interface EphemeralOptions {
  readonly group: GroupTopology
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly isFresh: () => boolean
  readonly onError: (error: TreatyError) => void
}

/** A group that lives with the connection: an exclusive queue for each address, which the broker deletes with it. */
export interface EphemeralRunner extends Runner {
  /** Makes queues, bindings, and exchanges that nobody else has made. Again after each reconnection. */
  declare(): Promise<void>
  readonly group: GroupTopology
}

interface Place {
  readonly address: string
  readonly name: string
  channel: ConfirmChannel | undefined
  isConsuming: boolean
  readonly held: Map<string, { readonly tag: number; readonly type: string }>
}

export function createEphemeralRunner(options: EphemeralOptions): EphemeralRunner {
  return new ExclusiveRunner(options)
}

class ExclusiveRunner implements EphemeralRunner {
  readonly #options: EphemeralOptions
  readonly #counts = noCounts()
  readonly #places: readonly Place[]
  readonly lanes: LaneGroup
  readonly group: GroupTopology

  constructor(options: EphemeralOptions) {
    this.#options = options
    const { group, clock, isFresh, onError } = options
    this.group = group
    this.#places = group.subscriptions.map(({ address }) => ({
      address,
      name: laneName({ address, lane: 0 }),
      channel: undefined,
      isConsuming: false,
      held: new Map(),
    }))
    this.lanes = createLaneGroup({
      group,
      orderingOf: () => 'none',
      clock,
      writes: 'per-lane',
      window: laneWindow,
      windowMax: laneWindow,
      withoutViews: true,
      onError,
      driver: {
        write: async (writes) => writes.map((write) => this.#write(write)),
        mayStart: isFresh,
      },
    })
  }

  async declare(): Promise<void> {
    for (const place of this.#places) await this.#declare(place)
    if (this.lanes.hasSubscribers) this.#consume()
  }

  async #declare(place: Place): Promise<void> {
    const { link, names, group } = this.#options
    const exchange = names.exchange(place.address)
    const isThere = await exists(link, exchange)
    const channel = await link.channel(() => {
      place.channel = undefined
      place.isConsuming = false
      place.held.clear()
      this.lanes.forget(place.name)
    })
    if (!isThere)
      await channel.assertExchange(exchange, 'fanout', { durable: false, autoDelete: true })
    const queue = names.lane(group.name, place.address, 0)
    await channel.assertQueue(queue, { exclusive: true, autoDelete: false, durable: false })
    await channel.bindQueue(queue, exchange, '')
    await channel.prefetch(laneWindow)
    place.channel = channel
  }

  #consume(): void {
    const { names, group } = this.#options
    for (const place of this.#places) {
      const { channel } = place
      if (channel === undefined || place.isConsuming) continue
      place.isConsuming = true
      this.lanes.assign(place.name)
      const queue = names.lane(group.name, place.address, 0)
      channel
        .consume(queue, (message) => message && this.#take(place, message))
        // The channel is over, and whoever opens the next one begins anew.
        .catch(() => undefined)
    }
  }

  #take(place: Place, message: ConsumeMessage): void {
    const { record, id } = fromWire(message, place.address, this.#options.clock.now())
    const tag = message.fields.deliveryTag
    const name = `${id}/${tag}`
    place.held.set(name, { tag, type: record.type })
    this.lanes.offer(place.name, [{ id: name, record }])
  }

  #write({ lane, ended, kept }: LaneWrite): WriteResult {
    const place = this.#places.find(({ name }) => name === lane)
    if (place?.channel === undefined) return 'fenced'
    for (const { entry, as } of ended) {
      const counter = counterOf(as)
      if (counter !== undefined) count(this.#counts, entry.record.type, counter, 1)
      const held = place.held.get(entry.id)
      place.held.delete(entry.id)
      if (held !== undefined) ackTag(place.channel, held.tag)
    }
    for (const { entry, why } of kept) {
      const change = changeOf(why)
      if (change !== undefined) count(this.#counts, entry.record.type, ...change)
    }
    return 'written'
  }

  subscribe(sink: DeliverySink): TransportSubscription {
    const subscription = this.lanes.subscribe(sink)
    this.#consume()
    return subscription
  }

  async settled(): Promise<void> {
    // The queue is there since it was declared.
  }

  changed(): void {
    // Nobody shares it.
  }

  snapshot(): RunnerSnapshot {
    const lanes: Record<string, RunnerSnapshot[string]> = {}
    for (const { name, held } of this.#places) {
      const types: Record<string, number> = {}
      for (const { type } of held.values()) types[type] = (types[type] ?? 0) + 1
      lanes[name] = { counts: {}, held: types, gauges: this.lanes.gaugesOf(name) }
    }
    const first = this.#places[0]?.name
    const row = first === undefined ? undefined : lanes[first]
    if (first !== undefined && row !== undefined) lanes[first] = { ...row, counts: this.#counts }
    return lanes
  }

  async close(deadline: number, hurry: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (this.lanes.inFlight > 0 && clock.monotonic() < deadline && !hurry.aborted) {
      await delay(clock, 5, hurry).catch(() => undefined)
    }
    await this.lanes.flush()
    this.lanes.close()
    for (const { channel } of this.#places) await channel?.close().catch(() => undefined)
  }
}

/** Asked on a channel of its own: one that asks in vain is closed. */
export async function exists(link: Link, exchange: string): Promise<boolean> {
  const channel = await link.channel()
  try {
    await channel.checkExchange(exchange)
  } catch (error) {
    if ((error as { code?: unknown }).code === 404) return false
    throw error
  }
  await channel.close()
  return true
}
