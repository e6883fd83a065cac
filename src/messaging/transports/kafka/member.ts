import { randomUUID } from 'node:crypto'
import { delay } from '../../../core/clock.ts'
import { createFreshness } from '../../lanes/freshness.ts'
import {
  decodeClaim,
  decodeShare,
  encodeClaim,
  encodeShare,
  type MemberShare,
  shareLanes,
} from './assignment.ts'
import { brokerErrorIds, isPassing } from './errors.ts'
import { hasMoved, type Line, type Wire } from './wire.ts'

/** Our place in one consumer group of the classic protocol. */
export interface Member {
  /** Joins, and stays until {@link Member.leave}. */
  join(): void
  /** Takes leave of the group at once; the lanes have to be given back before. */
  leave(): Promise<void>
  /** Asks for another round: what we own, or what there is to own, has changed. */
  rejoin(): void
  /** Under this name commits are accepted; undefined while there is none. */
  readonly ticket: Ticket | undefined
  /** Resolves when a round that is under way is over, or after `boundMs`. */
  settled(boundMs: number): Promise<void>
  /** The broker says that this name is no member any more. */
  expelled(ticket: Ticket): void
  /** Handlers may start: we have heard lately that we are a member. */
  isFresh(): boolean
  /** A round has ended and nothing is about to move. */
  readonly isQuiet: boolean
}
export interface Ticket {
  readonly memberId: string
  readonly generation: number
}

export interface MemberOptions {
  readonly wire: Wire
  /** Heartbeats and commits. */
  readonly line: Line
  readonly groupId: string
  readonly sessionMs: number
  /** Lanes that we own now, those with the most running handlers first. */
  owned(): readonly string[]
  topics(): readonly string[]
  /** All lanes of the group; asked of one member in each round. */
  allLanes(): Promise<readonly string[]>
  /** The lanes that are ours from now on. Those that we own and are not in it have to be given back, then {@link Member.rejoin}. */
  assigned(lanes: readonly string[]): void
  /** We are no member any more, and own nothing. */
  lost(): void
  /** `isFresh` may have changed to true. */
  awake(): void
  onError(error: unknown): void
}

const protocol = 'treaty'
const protocolType = 'consumer'
const heartbeatMsMax = 1000
const pauseMsMax = 1000

export function createMember(options: MemberOptions): Member {
  return new ClassicMember(options)
}

class ClassicMember implements Member {
  readonly #options: MemberOptions
  #joinLine: Line
  readonly #freshness
  #memberId = ''
  #generation = -1
  /** Not aborted while we want to be a member; each time is one of its own. */
  #life: AbortSignal | undefined
  #end: AbortController | undefined
  #isJoining = false
  #mustJoin = false
  #isQuiet = false
  #waiters: (() => void)[] = []
  #wake: (() => void) | undefined

  constructor(options: MemberOptions) {
    this.#options = options
    this.#freshness = createFreshness(options.wire.clock, options.sessionMs)
    this.#joinLine = this.#openJoinLine()
  }

  /** A line of its own: a join waits for every other member, at most for the rebalance timeout. */
  #openJoinLine(): Line {
    const { wire, sessionMs } = this.#options
    return wire.line({ requestMs: this.#rebalanceMs + sessionMs + 5000 })
  }

  get #rebalanceMs(): number {
    return Math.max(10_000, this.#options.sessionMs)
  }
  get #heartbeatMs(): number {
    return Math.min(heartbeatMsMax, this.#options.sessionMs / 12)
  }
  get ticket(): Ticket | undefined {
    if (this.#generation < 0) return undefined
    return { memberId: this.#memberId, generation: this.#generation }
  }
  get isQuiet(): boolean {
    return this.#isQuiet && !this.#isJoining && !this.#mustJoin
  }
  isFresh(): boolean {
    return this.#generation >= 0 && this.#freshness.isFresh()
  }

  join(): void {
    if (this.#life !== undefined) return
    this.#end = new AbortController()
    this.#life = this.#end.signal
    this.#mustJoin = true
    void this.#run(this.#life)
    void this.#beat(this.#life)
  }

  rejoin(): void {
    if (this.#life === undefined) return
    this.#mustJoin = true
    this.#wake?.()
  }

  async #run(life: AbortSignal): Promise<void> {
    let pauseMs = 0
    while (!life.aborted) {
      if (!this.#mustJoin) {
        await this.#untilWoken()
        continue
      }
      this.#mustJoin = false
      this.#isJoining = true
      try {
        await this.#round(life)
        pauseMs = 0
      } catch (error) {
        if (life.aborted) return
        this.#mustJoin = true
        pauseMs = this.#afterFailure(error, pauseMs)
      }
      if (life.aborted) return
      this.#isJoining = false
      if (!this.#mustJoin) this.#tellSettled()
      if (pauseMs > 0) await delay(this.#options.wire.clock, pauseMs, life).catch(nothing)
    }
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }

  #afterFailure(error: unknown, pauseMs: number): number {
    const ids = brokerErrorIds(error)
    if (ids.has('MEMBER_ID_REQUIRED')) {
      this.#memberId = memberIdIn(error) ?? this.#memberId
      return 0
    }
    if (ids.has('UNKNOWN_MEMBER_ID') || ids.has('FENCED_INSTANCE_ID')) {
      this.#forget()
      return 0
    }
    if (ids.has('REBALANCE_IN_PROGRESS') || ids.has('ILLEGAL_GENERATION')) return 20
    if (!isPassing(error)) this.#options.onError(error)
    if (hasMoved(error) || ids.size === 0) void this.#coordinator(true).catch(nothing)
    return Math.min(pauseMsMax, Math.max(50, pauseMs * 2))
  }

  /** One round: join, let one member decide, hear what is ours. */
  async #round(life: AbortSignal): Promise<void> {
    const { wire, groupId, sessionMs } = this.#options
    const { joinGroupV7, syncGroupV5 } = wire.driver
    const server = await this.#coordinator()
    const data = { lanes: this.#options.owned(), nonce: randomUUID().slice(0, 8) }
    const metadata = encodeClaim(this.#options.topics(), data)
    const joined = await this.#joinLine.call(
      server,
      joinGroupV7.api,
      groupId,
      sessionMs,
      this.#rebalanceMs,
      this.#memberId,
      null,
      protocolType,
      [{ name: protocol, metadata }],
    )
    if (life.aborted) return
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const proven = this.#freshness.begin()
    const isLeader = joined.leader === joined.memberId
    const assignments = isLeader ? await this.#decide(joined.members) : []
    const synced = await this.#joinLine.call(
      server,
      syncGroupV5.api,
      groupId,
      this.#generation,
      this.#memberId,
      null,
      protocolType,
      protocol,
      assignments,
    )
    if (life.aborted) return
    proven()
    const share: MemberShare = decodeShare(synced.assignment)
    this.#isQuiet = !share.isPending
    this.#options.assigned(share.lanes)
    this.#options.awake()
  }

  async #decide(members: readonly { memberId: string; metadata?: Buffer | null }[]) {
    const claims = members.map(({ memberId, metadata }) =>
      decodeClaim(memberId, metadata ?? Buffer.alloc(0)),
    )
    const shares = shareLanes(await this.#options.allLanes(), claims)
    return [...shares].map(([memberId, share]) => ({ memberId, assignment: encodeShare(share) }))
  }

  /** Heartbeats go on while a round is under way: they keep us a member, and prove that we are one. */
  async #beat(life: AbortSignal): Promise<void> {
    const { clock } = this.#options.wire
    while (!life.aborted) {
      if (this.#generation >= 0) await this.#beatOnce()
      await delay(clock, this.#heartbeatMs, life).catch(nothing)
    }
  }

  async #beatOnce(): Promise<void> {
    const { wire, line, groupId } = this.#options
    const proven = this.#freshness.begin()
    const { memberId, generation } = { memberId: this.#memberId, generation: this.#generation }
    try {
      const server = await this.#coordinator()
      await line.call(server, wire.driver.heartbeatV4.api, groupId, generation, memberId, null)
      this.#proven(proven)
    } catch (error) {
      if (memberId !== this.#memberId || generation !== this.#generation) return
      const ids = brokerErrorIds(error)
      if (ids.has('REBALANCE_IN_PROGRESS')) {
        this.#proven(proven)
        if (!this.#isJoining) this.rejoin()
      } else if (ids.has('UNKNOWN_MEMBER_ID')) {
        this.expelled({ memberId, generation })
      } else if (ids.has('ILLEGAL_GENERATION')) {
        if (!this.#isJoining) this.rejoin()
      } else if (hasMoved(error) || ids.size === 0) {
        await this.#coordinator(true).catch(nothing)
      }
    }
  }

  #proven(proven: () => void): void {
    const wasFresh = this.#freshness.isFresh()
    proven()
    if (!wasFresh) this.#options.awake()
  }

  #coordinator(isFresh = false) {
    return this.#options.wire.coordinator(this.#options.groupId, isFresh)
  }

  expelled({ memberId }: Ticket): void {
    if (memberId !== this.#memberId) return
    this.#forget()
    this.rejoin()
  }

  #forget(): void {
    this.#memberId = ''
    this.#generation = -1
    this.#isQuiet = false
    this.#options.lost()
  }

  async settled(boundMs: number): Promise<void> {
    const { clock } = this.#options.wire
    if (!this.#isJoining && !this.#mustJoin) return
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, boundMs)
      this.#waiters.push(() => {
        clock.clearTimeout(timer)
        resolve()
      })
    })
  }

  #tellSettled(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }

  async leave(): Promise<void> {
    if (this.#life === undefined) return
    this.#end?.abort()
    this.#life = undefined
    const { wire, line, groupId } = this.#options
    const memberId = this.#memberId
    this.#memberId = ''
    this.#generation = -1
    this.#isQuiet = false
    this.#isJoining = false
    this.#mustJoin = false
    this.#wake?.()
    this.#tellSettled()
    // A join that is under way ends with its connection.
    const waiting = this.#joinLine
    this.#joinLine = this.#openJoinLine()
    void waiting.close()
    if (memberId === '') return
    const asked = (async () => {
      const server = await this.#coordinator()
      await line.call(server, wire.driver.leaveGroupV4.api, groupId, [{ memberId }])
    })()
    await Promise.race([asked.catch(nothing), delay(wire.clock, 1500)])
  }
}

function nothing(): void {}

/** The name that the broker gave with its refusal (KIP-394). */
function memberIdIn(error: unknown): string | undefined {
  const { response } = error as { response?: { memberId?: string } }
  return response?.memberId
}
