import type { TimerHandle } from '../../core/clock.ts'
import type { Delivery, SettleResult, SubscriptionSpec } from '../transport.ts'
import type {
  EndedEntry,
  Ending,
  EntryState,
  KeptEntry,
  LaneEntry,
  LaneGauges,
  LaneLetter,
  LaneViewEntry,
  LaneWrite,
} from './driver.ts'

/**
 * Where a message of a lane is. `chained`: behind an earlier one of its key. `delayed`: until its time. `unwritten`: its new state has
 * to be durable before it may start. `ready`: in the queue, or held back by the written mark. `ended`: settled, perhaps not yet written.
 */
export type Phase = 'chained' | 'delayed' | 'unwritten' | 'ready' | 'running' | 'blocked' | 'ended'

/** One message that a lane holds. */
export interface Node {
  readonly lane: Lane
  /** Replaced by one without its body once it has ended. */
  entry: LaneEntry
  phase: Phase
  failures: number
  /** Times it was handed out, without those that were released. */
  handouts: number
  releases: number
  firstFailedAt: number | undefined
  dueAt: number
  isMarked: boolean
  /** It may have killed its process: marked before it starts. */
  isSuspect: boolean
  /** It was marked when its process died: it runs alone. */
  runsAlone: boolean
  /** Grows with each hand-out, so that a settlement of an earlier one is known as late. */
  token: number
  /** What is with a handler. */
  out: Delivery | undefined
  /** What to call should the lane be lost meanwhile. */
  onLost: SubscriptionSpec['onLost']
  /** It has ended, and no write that was begun says so. */
  isEndUnwritten: boolean
  /** The lane knows nothing of it any more. */
  isForgotten: boolean
  /** Its order: messages of one chain run one after another. */
  chain: string | undefined
  follower: Node | undefined
  timer: TimerHandle | undefined
}

/** The handle inside a delivery. */
export interface LaneLease {
  readonly node: Node
  readonly token: number
}

/** Whoever waits for a settlement to be written. */
export interface Waiter {
  told(result: SettleResult): void
}

/** A message as it was read. */
export function nodeOf(lane: Lane, entry: LaneEntry, now: number): Node {
  const { state, record } = entry
  const dueAt = Math.max(state?.dueAt ?? 0, record.deliverAt ?? 0)
  // What waited for its time, or for a replay, was with no handler.
  const isSuspect = entry.suspect === true && dueAt <= now && state?.blocked !== true
  const isMarked = isSuspect && state?.marked === true
  return {
    lane,
    entry,
    phase: 'chained',
    failures: state?.failures ?? 0,
    // Where no mark was written, the start that ended with its process is not in the count.
    handouts: (state?.handouts ?? 0) + (isSuspect && !isMarked ? 1 : 0),
    releases: 0,
    firstFailedAt: state?.firstFailedAt,
    dueAt,
    isMarked,
    isSuspect,
    runsAlone: isMarked,
    token: 0,
    out: undefined,
    onLost: undefined,
    isEndUnwritten: false,
    isForgotten: false,
    chain: undefined,
    follower: undefined,
    timer: undefined,
  }
}

/** The state of a message as it is to be written. */
export function stateOf(node: Node): EntryState {
  const { failures, firstFailedAt, dueAt, isMarked, phase } = node
  // A start that was not marked counts once it has come to something; should it end with its process, the next owner adds it.
  const handouts = node.handouts - (phase === 'running' && !isMarked ? 1 : 0)
  return {
    failures,
    handouts,
    ...(firstFailedAt === undefined ? {} : { firstFailedAt }),
    ...(dueAt === 0 ? {} : { dueAt }),
    ...(isMarked ? { marked: true } : {}),
    ...(phase === 'blocked' ? { blocked: true } : {}),
  }
}

export interface LaneLimits {
  readonly window: number
  readonly windowMax: number
  /** What has ended need not be kept for a view. */
  readonly withoutViews: boolean
  readonly windowBytes: number
}

/** What one write carries, and who waits for it. */
export interface Batch {
  readonly write: LaneWrite
  readonly ended: readonly Node[]
  readonly kept: readonly Node[]
  readonly waiters: readonly Waiter[]
}

const noBody = new Uint8Array(0)
const noNodes: readonly Node[] = []
const noKept: readonly KeptEntry[] = []

/** What a lane holds: its messages in order, a chain for each key, and the changes that are not written yet. */
export class Lane {
  readonly name: string
  /** That of its first message with a key. */
  address: string | undefined
  readonly #limits: LaneLimits
  readonly #byId = new Map<string, Node>()
  readonly #lastOfChain = new Map<string, Node>()
  /** From `#first` on; before it there is nothing. */
  #nodes: (Node | undefined)[] = []
  #first = 0
  #bytes = 0
  /** Messages that have not ended, and those of them that wait for their time or their key. */
  #held = 0
  #waiting = 0
  /** Ended and not written: the messages, and what is to be written of them. */
  #ended: Node[] = []
  #endings: EndedEntry[] = []
  #kept = new Map<Node, KeptEntry>()
  #waiters: Waiter[] = []
  /** Our own while it is; then nothing of it counts. */
  isOurs = true
  isDraining = false
  isWriting = false
  isFull = false
  inFlight = 0
  /** Reached by what has started; what may start is `reserve` beyond it. */
  startedThrough = Number.NEGATIVE_INFINITY
  wantedThrough: number | undefined
  writtenThrough: number | undefined
  /** May start once the mark that is written reaches them. */
  unreserved: Node[] = []

  constructor(name: string, limits: LaneLimits, startsThrough: number | undefined) {
    this.name = name
    this.#limits = limits
    this.writtenThrough = startsThrough
  }

  /** Its messages may start. */
  get isOpen(): boolean {
    return this.isOurs && !this.isDraining
  }
  get isDirty(): boolean {
    return (
      this.#ended.length > 0 ||
      this.#kept.size > 0 ||
      (this.wantedThrough ?? Number.NEGATIVE_INFINITY) >
        (this.writtenThrough ?? Number.NEGATIVE_INFINITY)
    )
  }

  has(entryId: string): boolean {
    return this.#byId.has(entryId)
  }
  find(entryId: string): Node | undefined {
    return this.#byId.get(entryId)
  }

  /** Takes a message in. True: no earlier one of its key is unfinished. */
  add(node: Node): boolean {
    const { entry, chain } = node
    this.#byId.set(entry.id, node)
    this.#nodes.push(node)
    this.#bytes += entry.record.body.byteLength
    this.#held += 1
    this.#waiting += 1
    if (chain === undefined) return true
    const last = this.#lastOfChain.get(chain)
    this.#lastOfChain.set(chain, node)
    if (last === undefined) return true
    last.follower = node
    return false
  }

  /** Ends a message; gives the next of its key, which is its turn now. */
  end(
    node: Node,
    as: Ending,
    more: { letter: LaneLetter | undefined; waiter: Waiter | undefined },
  ): Node | undefined {
    const wasWaiting = isWaiting(node)
    node.phase = 'ended'
    this.#held -= 1
    if (wasWaiting) this.#waiting -= 1
    if (this.#kept.size > 0) this.#kept.delete(node)
    const { letter, waiter } = more
    const { entry } = node
    node.isEndUnwritten = true
    this.#ended.push(node)
    this.#endings.push(letter === undefined ? { entry, as } : { entry, as, letter })
    if (waiter !== undefined) this.#waiters.push(waiter)
    const next = node.follower
    node.follower = undefined
    const { chain } = node
    if (chain !== undefined && this.#lastOfChain.get(chain) === node)
      this.#lastOfChain.delete(chain)
    return next
  }

  /** Keeps a message in a state that has to be written before anything else happens to it. */
  keep(
    node: Node,
    why: KeptEntry['why'],
    more: { letter?: LaneLetter; waiter?: Waiter } = {},
  ): void {
    const { letter, waiter } = more
    const state = stateOf(node)
    this.#kept.set(node, {
      entry: node.entry,
      state,
      why,
      ...(letter === undefined ? {} : { letter }),
    })
    if (waiter !== undefined) this.#waiters.push(waiter)
  }

  /** Moves a message between what waits and what may start or runs. */
  turn(node: Node, phase: Exclude<Node['phase'], 'ended'>): void {
    const before = isWaiting(node)
    node.phase = phase
    const after = isWaiting(node)
    if (before !== after) this.#waiting += after ? 1 : -1
  }

  /** The changes up to now as one write; undefined: there are none. */
  take(reserve: number | undefined): Batch | undefined {
    if (!this.isDirty) return undefined
    const ended = this.#ended
    const endings = this.#endings
    const kept = this.#kept
    const waiters = this.#waiters
    this.#ended = []
    this.#endings = []
    if (kept.size > 0) this.#kept = new Map()
    this.#waiters = []
    for (const node of ended) node.isEndUnwritten = false
    const startsThrough = reserve === undefined ? undefined : this.#reach(reserve)
    return {
      ended,
      kept: kept.size === 0 ? noNodes : [...kept.keys()],
      waiters,
      write: {
        lane: this.name,
        ended: endings,
        kept: kept.size === 0 ? noKept : [...kept.values()],
        startsThrough,
        view: () => this.#view(),
      },
    }
  }

  #reach(reserve: number): number | undefined {
    const reach = Math.max(
      this.startedThrough + reserve,
      this.wantedThrough ?? Number.NEGATIVE_INFINITY,
      this.writtenThrough ?? Number.NEGATIVE_INFINITY,
    )
    return Number.isFinite(reach) ? reach : undefined
  }

  /** The write failed, perhaps after it was done: its changes go before those that came meanwhile. */
  giveBack(batch: Batch): void {
    for (const node of batch.ended) node.isEndUnwritten = true
    this.#ended = [...batch.ended, ...this.#ended]
    this.#endings = [...batch.write.ended, ...this.#endings]
    const kept = new Map<Node, KeptEntry>()
    batch.kept.forEach((node, at) => {
      kept.set(node, batch.write.kept[at] as KeptEntry)
    })
    for (const [node, entry] of this.#kept) kept.set(node, entry)
    this.#kept = kept
    this.#waiters = [...batch.waiters, ...this.#waiters]
  }

  /** The write is durable: what has ended is forgotten once nothing before it is left. */
  settled(batch: Batch): void {
    if (batch.write.startsThrough !== undefined) this.writtenThrough = batch.write.startsThrough
    for (const node of batch.ended) this.#bytes -= node.entry.record.body.byteLength
    while (this.#first < this.#nodes.length) {
      const node = this.#nodes[this.#first] as Node
      if (node.phase !== 'ended' || node.isEndUnwritten) break
      this.#forget(node)
      this.#nodes[this.#first] = undefined
      this.#first += 1
    }
    if (this.#limits.withoutViews) this.#forgetEnded()
    for (const node of batch.ended) if (!node.isForgotten) strip(node)
    if (this.#first > 256 && this.#first * 2 > this.#nodes.length) {
      this.#nodes = this.#nodes.slice(this.#first)
      this.#first = 0
    }
  }

  /** Also those behind a message that has not ended, once there are many of them. */
  #forgetEnded(): void {
    const listed = this.#nodes.length - this.#first
    if (listed < 2 * this.#held + 512) return
    const kept: Node[] = []
    for (let at = this.#first; at < this.#nodes.length; at += 1) {
      const node = this.#nodes[at] as Node
      if (node.phase !== 'ended' || node.isEndUnwritten) kept.push(node)
      else this.#forget(node)
    }
    this.#nodes = kept
    this.#first = 0
  }

  #forget(node: Node): void {
    this.#byId.delete(node.entry.id)
    node.isForgotten = true
  }

  #view(): LaneViewEntry[] {
    const view: LaneViewEntry[] = []
    for (let at = this.#first; at < this.#nodes.length; at += 1) {
      const node = this.#nodes[at] as Node
      const isEnded = node.phase === 'ended' && !node.isEndUnwritten
      if (view.length === 0 && isEnded) continue
      view.push({ entry: node.entry, isEnded, state: stateOf(node) })
    }
    return view
  }

  /** How many more messages it takes. */
  get room(): number {
    if (!this.isOpen || this.#bytes >= this.#limits.windowBytes) return 0
    const startable = this.#held - this.#waiting
    const listed = this.#nodes.length - this.#first
    return Math.max(0, Math.min(this.#limits.window - startable, this.#limits.windowMax - listed))
  }

  gauges(now: number): LaneGauges {
    const gauges = { ready: 0, inFlight: 0, delayed: 0, blocked: 0 }
    let oldestAt: number | undefined
    for (let at = this.#first; at < this.#nodes.length; at += 1) {
      const node = this.#nodes[at] as Node
      if (node.phase === 'ended' || node.phase === 'blocked') continue
      oldestAt = Math.min(oldestAt ?? Number.POSITIVE_INFINITY, node.entry.record.publishedAt)
      gauges[gaugeOf(node, now)] += 1
    }
    return { ...gauges, oldestAt }
  }

  /** Everyone who waits for a write that will not come. */
  abandon(): readonly Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    this.#ended = []
    this.#endings = []
    this.#kept.clear()
    return waiters
  }

  /** Every message it holds. */
  *all(): Iterable<Node> {
    for (let at = this.#first; at < this.#nodes.length; at += 1) yield this.#nodes[at] as Node
  }
}

/** It waits for an earlier one of its lane: its body is not needed for that. */
function strip(node: Node): void {
  const { entry } = node
  node.entry = { ...entry, record: { ...entry.record, body: noBody, headers: {} } }
}

function isWaiting({ phase }: Node): boolean {
  return phase === 'chained' || phase === 'delayed' || phase === 'blocked'
}

function gaugeOf(node: Node, now: number): 'ready' | 'inFlight' | 'delayed' | 'blocked' {
  if (node.phase === 'running') return 'inFlight'
  if (node.phase === 'chained') return 'blocked'
  return node.dueAt > now ? 'delayed' : 'ready'
}
