import { effectsUnsupported } from '../consume/handler-context.ts'
import type {
  Delivery,
  DeliverySink,
  Failure,
  Settlement,
  SettleResult,
  SubscriptionSpec,
  TransportSubscription,
} from '../transport.ts'
import type { Ending, LaneEntry, LaneGauges, LaneGroup, LaneGroupOptions } from './driver.ts'
import { Lane, type LaneLease, type LaneLimits, type Node, nodeOf, type Waiter } from './lane.ts'
import { letterOf } from './letter.ts'
import { Outlets } from './outlets.ts'
import { ReadyQueue } from './ready-queue.ts'
import { SettleCall, SettleWaiter } from './settle-call.ts'
import { Solo } from './solo.ts'
import { Writer } from './writer.ts'

const lost: SettleResult = { ok: false, reason: 'lost' }
const limitsDefault: LaneLimits = {
  window: 256,
  windowMax: 4096,
  windowBytes: 16_777_216,
  withoutViews: false,
}

/** The core of every transport whose lanes are logs with one fenced owner; {@link LaneGroup} says what it does. */
export function createLaneGroup(options: LaneGroupOptions): LaneGroup {
  return new Group(options)
}

/** A class because every step shares its state. */
class Group implements LaneGroup {
  readonly #options: LaneGroupOptions
  readonly #limits: LaneLimits
  readonly #lanes = new Map<string, Lane>()
  readonly #ready = new ReadyQueue()
  readonly #outlets = new Outlets(() => this.#pump())
  readonly #solo: Solo
  readonly #writer: Writer
  /** Who waits for the handlers of a lane to end. */
  readonly #idle = new Map<Lane, (() => void)[]>()
  #inFlight = 0
  #isPumping = false
  #pumpAgain = false
  #isClosed = false

  constructor(options: LaneGroupOptions) {
    this.#options = options
    const { window, windowMax, windowBytes, withoutViews } = { ...limitsDefault, ...options }
    this.#limits = { window, windowMax, windowBytes, withoutViews }
    this.#solo = new Solo(options.clock, () => this.#pump())
    this.#writer = new Writer({
      ...options,
      written: (lane, kept) => this.#written(lane, kept),
      fenced: (lane) => this.forget(lane.name),
    })
  }

  get lanes(): readonly string[] {
    return [...this.#lanes.keys()]
  }
  get hasSubscribers(): boolean {
    return this.#outlets.count > 0
  }
  get inFlight(): number {
    return this.#inFlight
  }

  assign(name: string, { startsThrough }: { readonly startsThrough?: number } = {}): void {
    this.forget(name)
    if (!this.#isClosed) this.#lanes.set(name, new Lane(name, this.#limits, startsThrough))
  }

  offer(name: string, entries: readonly LaneEntry[]): void {
    const lane = this.#lanes.get(name)
    if (lane === undefined || !lane.isOpen) return
    const now = this.#options.clock.now()
    for (const entry of entries) if (!lane.has(entry.id)) this.#admit(lane, entry, now)
    if (lane.room === 0) lane.isFull = true
    this.#writer.soon(lane)
    this.#pump()
  }

  #admit(lane: Lane, entry: LaneEntry, now: number): void {
    const node = nodeOf(lane, entry, now)
    const seen = entry.foreign === true ? 'foreign' : this.#isSkipped(entry) ? 'skipped' : undefined
    node.chain = seen === undefined ? this.#chainOf(lane, entry) : undefined
    const isFirst = lane.add(node)
    if (seen !== undefined) this.#end(node, seen)
    else if (entry.state?.blocked === true) lane.turn(node, 'blocked')
    else if (isFirst) this.#itsTurn(node)
  }

  #isSkipped({ record }: LaneEntry): boolean {
    const { subscriptions } = this.#options.group
    const filter = subscriptions.find((each) => each.address === record.address)
    if (filter === undefined || filter.types === '*') return false
    if (record.type === '' || filter.types.includes(record.type)) return false
    return filter.ignored === undefined || filter.ignored.includes(record.type)
  }

  #chainOf(lane: Lane, { record: { address, key } }: LaneEntry): string | undefined {
    const ordering = this.#options.orderingOf(address)
    if (ordering === 'per-channel') return address
    if (ordering === 'none' || key === undefined) return undefined
    // A lane mostly has one address: its keys need not be told from those of others.
    lane.address ??= address
    return lane.address === address ? key : `${address}\n${key}`
  }

  /** Nothing of its key is before it any more. */
  #itsTurn(node: Node): void {
    const { lane } = node
    const waitMs = node.dueAt === 0 ? 0 : node.dueAt - this.#options.clock.now()
    if (waitMs > 0) {
      lane.turn(node, 'delayed')
      node.timer = this.#options.clock.setTimeout(() => this.#due(node), waitMs)
    } else if (node.handouts >= this.#options.group.deliveriesMax) {
      const message = `its process ended ${node.handouts} times while it was with a handler`
      this.#bury(node, { reason: 'CRASH_LOOP', message })
    } else if (node.runsAlone) {
      lane.turn(node, 'unwritten')
      this.#solo.add(node)
    } else if (node.isSuspect && !node.isMarked) this.#mark(node)
    else {
      lane.turn(node, 'ready')
      this.#ready.push(node)
    }
  }

  #due(node: Node): void {
    node.timer = undefined
    if (node.phase !== 'delayed' || !node.lane.isOurs) return
    this.#itsTurn(node)
    this.#pump()
  }

  /** Counts the start before it happens. */
  #mark(node: Node): void {
    node.lane.turn(node, 'unwritten')
    node.handouts += 1
    node.isMarked = true
    node.lane.keep(node, 'marked')
    this.#writer.soon(node.lane)
  }

  wake(): void {
    this.#pump()
  }

  /** Starts what may start, as far as there is credit. */
  #pump(): void {
    // A sink that settles at once comes back here from inside.
    this.#pumpAgain = true
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#pumpAgain) {
      this.#pumpAgain = false
      while (this.#outlets.hasCredit && this.#options.driver.mayStart()) {
        const node = this.#next()
        if (node === undefined) break
        this.#start(node)
      }
      this.#outlets.hand()
    }
    this.#isPumping = false
  }

  #next(): Node | undefined {
    const turn = this.#solo.next(this.#inFlight)
    if (turn === 'wait') return undefined
    if (turn !== 'none') {
      if ('start' in turn) return turn.start
      this.#mark(turn.mark)
      return undefined
    }
    for (;;) {
      const node = this.#ready.shift()
      if (node === undefined || this.#isReserved(node)) return node
    }
  }

  /** False: what is written does not reach it yet; it comes back once that does. */
  #isReserved(node: Node): boolean {
    const { reserve } = this.#options
    const { lane, entry } = node
    if (reserve === undefined || entry.place === undefined) return true
    if (entry.place <= (lane.writtenThrough ?? Number.NEGATIVE_INFINITY)) return true
    lane.unreserved.push(node)
    lane.wantedThrough = Math.max(lane.wantedThrough ?? 0, entry.place + reserve)
    this.#writer.soon(lane)
    return false
  }

  #start(node: Node): void {
    const { lane, entry } = node
    const { record } = entry
    if (record.expiresAt !== undefined && record.expiresAt <= this.#options.clock.now()) {
      this.#expire(node)
      this.#writer.soon(lane)
      return
    }
    if (!node.isMarked) node.handouts += 1
    node.token += 1
    lane.turn(node, 'running')
    lane.inFlight += 1
    this.#inFlight += 1
    if (entry.place !== undefined) lane.startedThrough = Math.max(lane.startedThrough, entry.place)
    const lease: LaneLease = { node, token: node.token }
    const plain: Delivery = {
      record,
      group: this.#options.group.name,
      attempt: node.failures + 1,
      deliveryCount: node.handouts + node.releases,
      lease,
    }
    const { firstFailedAt } = node
    const delivery = firstFailedAt === undefined ? plain : { ...plain, firstFailedAt }
    node.out = delivery
    node.onLost = this.#outlets.give(delivery)
  }

  subscribe(sink: DeliverySink, onLost?: SubscriptionSpec['onLost']): TransportSubscription {
    return this.#outlets.open(sink, () => this.#lanes.size > 0, onLost)
  }

  settle(settlements: readonly Settlement[]): Promise<SettleResult[]> {
    const touched = new Set<Lane>()
    const call = new SettleCall(settlements.length)
    for (const [at, settlement] of settlements.entries()) {
      const { node, token } = settlement.delivery.lease as LaneLease
      const isLate = node.token !== token || node.phase !== 'running' || !node.lane.isOurs
      if (isLate) call.told(at, lost)
      else {
        touched.add(node.lane)
        this.#apply(node, settlement, new SettleWaiter(call, at))
      }
    }
    for (const lane of touched) {
      this.#writer.soon(lane)
      this.#tellRoom(lane)
      this.#tellIdle(lane)
    }
    this.#pump()
    return call.results
  }

  #apply(node: Node, settlement: Settlement, waiter: Waiter): void {
    if (settlement.outcome === 'ack' && (settlement.effect || settlement.publish)) {
      const error = effectsUnsupported(this.#options.group.consumer)
      waiter.told({ ok: false, reason: 'error', error })
      return
    }
    node.lane.inFlight -= 1
    node.out = undefined
    this.#inFlight -= 1
    if (settlement.outcome === 'ack') this.#end(node, settlement.as ?? 'handled', waiter)
    // What the handler lets go leaves no letter, whatever becomes of messages whose time passes unhandled.
    else if (settlement.outcome === 'drop') this.#end(node, 'expired', waiter)
    else if (settlement.outcome === 'dead') this.#bury(node, settlement.failure, waiter)
    else if (settlement.outcome === 'retry') this.#retry(node, settlement.delayMs, waiter)
    else this.#release(node, settlement.delayMs ?? 0, waiter)
  }

  #retry(node: Node, delayMs: number, waiter: Waiter): void {
    const now = this.#options.clock.now()
    node.failures += 1
    node.firstFailedAt ??= now
    node.dueAt = now + Math.max(0, Math.ceil(delayMs))
    node.isSuspect = false
    node.isMarked = false
    node.runsAlone = false
    node.lane.turn(node, 'unwritten')
    node.lane.keep(node, 'retried', { waiter })
  }

  /** Costs nothing and is not written: whoever comes next finds the message as it was. */
  #release(node: Node, delayMs: number, waiter: Waiter): void {
    node.handouts -= 1
    node.releases += 1
    node.isMarked = false
    if (delayMs > 0) node.dueAt = this.#options.clock.now() + delayMs
    if (node.runsAlone && delayMs <= 0) node.lane.turn(node, 'ready')
    else this.#itsTurn(node)
    waiter.told({ ok: true })
  }

  #expire(node: Node): void {
    const isKept = this.#options.group.deadLetter.onExpired === 'dead-letter'
    const failure = { reason: 'EXPIRED', message: 'its time to live passed before it was handled' }
    const letter = isKept ? this.#letter(node, failure, node.failures) : undefined
    this.#end(node, 'expired', undefined, letter)
  }

  #bury(node: Node, failure: Failure, waiter?: Waiter): void {
    const attempts = node.phase === 'running' ? node.failures + 1 : node.handouts
    const letter = this.#letter(node, failure, attempts)
    if (this.#options.group.deadLetter.onDead === 'next' || node.chain === undefined) {
      this.#end(node, 'dead', waiter, letter)
      return
    }
    node.lane.turn(node, 'blocked')
    node.lane.keep(node, 'blocked', { letter, ...(waiter === undefined ? {} : { waiter }) })
    this.#writer.soon(node.lane)
  }

  #letter(node: Node, failure: Failure, attempts: number) {
    const { group, clock } = this.#options
    return letterOf(node, failure, { group, attempts, now: clock.now() })
  }

  #end(node: Node, as: Ending, waiter?: Waiter, letter?: ReturnType<typeof letterOf>): void {
    const next = node.lane.end(node, as, { waiter, letter })
    if (next !== undefined) this.#itsTurn(next)
    this.#writer.soon(node.lane)
  }

  /** New states are durable: what waited for that goes on. */
  #written(lane: Lane, kept: readonly Node[]): void {
    for (const node of kept) {
      if (node.phase !== 'unwritten') continue
      if (!node.isMarked) this.#itsTurn(node)
      else {
        lane.turn(node, 'ready')
        if (!node.runsAlone) this.#ready.push(node)
      }
    }
    const reached = lane.unreserved
    lane.unreserved = []
    for (const node of reached) this.#ready.push(node)
    this.#tellRoom(lane)
    this.#pump()
  }

  #tellRoom(lane: Lane): void {
    if (!lane.isFull || lane.room * 2 < this.#limits.window) return
    lane.isFull = false
    this.#options.driver.onRoom?.(lane.name)
  }

  unblock(name: string, entryId: string, how: 'replay' | 'discard'): boolean {
    const node = this.#lanes.get(name)?.find(entryId)
    if (node === undefined || node.phase !== 'blocked') return false
    if (how === 'discard') this.#end(node, 'discarded')
    else {
      node.failures = 0
      node.handouts = 0
      node.firstFailedAt = undefined
      node.dueAt = 0
      node.isMarked = false
      node.lane.turn(node, 'unwritten')
      node.lane.keep(node, 'unblocked')
    }
    this.#writer.soon(node.lane)
    this.#pump()
    return true
  }

  roomOf(name: string): number {
    const lane = this.#lanes.get(name)
    const room = lane?.room ?? 0
    if (lane !== undefined && room === 0) lane.isFull = true
    return room
  }

  async drain(name: string): Promise<void> {
    const lane = this.#lanes.get(name)
    if (lane === undefined) return
    lane.isDraining = true
    // A message that was to run alone may belong to it.
    this.#pump()
    while (lane.isOurs && lane.inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#idle.set(lane, [...(this.#idle.get(lane) ?? []), resolve])
      })
    }
    await this.#writer.idle(lane)
  }

  #tellIdle(lane: Lane): void {
    if (lane.isOurs && lane.inFlight > 0) return
    const resolves = this.#idle.get(lane)
    if (resolves === undefined) return
    this.#idle.delete(lane)
    for (const resolve of resolves) resolve()
  }

  forget(name: string): void {
    const lane = this.#lanes.get(name)
    if (lane === undefined) return
    this.#lanes.delete(name)
    lane.isOurs = false
    this.#inFlight -= lane.inFlight
    for (const node of lane.all()) {
      if (node.timer !== undefined) this.#options.clock.clearTimeout(node.timer)
      if (node.out !== undefined) node.onLost?.([node.out])
    }
    for (const waiter of lane.abandon()) waiter.told(lost)
    this.#writer.lost(lane)
    this.#tellIdle(lane)
    this.#pump()
  }

  gaugesOf(name: string): LaneGauges | undefined {
    return this.#lanes.get(name)?.gauges(this.#options.clock.now())
  }

  gauges(): LaneGauges {
    const sum = { ready: 0, inFlight: 0, delayed: 0, blocked: 0 }
    let oldestAt: number | undefined
    for (const lane of this.#lanes.values()) {
      const gauges = lane.gauges(this.#options.clock.now())
      sum.ready += gauges.ready
      sum.inFlight += gauges.inFlight
      sum.delayed += gauges.delayed
      sum.blocked += gauges.blocked
      if (gauges.oldestAt !== undefined)
        oldestAt = Math.min(oldestAt ?? gauges.oldestAt, gauges.oldestAt)
    }
    return { ...sum, oldestAt }
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => this.#writer.idle(lane)))
  }

  close(): void {
    this.#isClosed = true
    for (const name of this.lanes) this.forget(name)
    this.#writer.close()
    this.#solo.close()
  }
}
