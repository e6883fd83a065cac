import { systemClock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Transport, TransportStats } from '../messaging/transport.ts'
import type { FakeClock } from './fake-clock.ts'
import type { Observation } from './observed-transport.ts'

export interface SettledOptions {
  /**
   * False: time stands still, so what waits for a retry or for its time goes on waiting. Default true: the fake
   * clock moves to each of these times.
   */
  readonly advance?: boolean
  /** How far the fake clock may move, in milliseconds. Default 90 days. */
  readonly withinMs?: number
  /** How long this may really take, in milliseconds. Default 5000. */
  readonly realMs?: number
}

export interface Settling {
  readonly transport: Transport
  readonly observation: Observation
  readonly clock: FakeClock
  /** What the transport and the bus reported without a caller. */
  readonly problems: readonly TreatyError[]
}

const settledDefaults = {
  advance: true,
  withinMs: 90 * 86_400_000,
  realMs: 5000,
} as const satisfies Required<SettledOptions>

/** Looks without change after which the bus counts as at rest: a commit may take a turn or two. */
const quietLooks = 3

/** How long a handler that holds a message may wait for something real before time moves on for it. */
const patienceForHandlers = 16

type GroupStats = TransportStats['groups'][number]

async function look({ transport, observation }: Settling) {
  const { groups } = await transport.stats()
  const active = observation.activeGroups()
  const read = groups.filter((group) => active.has(group.group))
  const sum = (field: 'ready' | 'delayed' | 'inFlight') =>
    read.reduce((total, group) => total + group[field], 0)
  // What a transport says is out may be on its way to the handler still.
  const out = Math.max(observation.held.size, sum('inFlight'))
  return { ready: sum('ready'), delayed: sum('delayed'), out, read }
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** Sentences that name what keeps the bus busy. */
function explain(settling: Settling, groups: readonly GroupStats[]): string[] {
  const { observation, clock } = settling
  const reasons: string[] = []
  for (const { delivery, since } of observation.held) {
    const consumer = observation.consumerOf(delivery.group) ?? delivery.group
    reasons.push(
      `the handler of "${consumer}" has not returned for "${delivery.record.type}" ${delivery.record.id} (attempt ${delivery.attempt}, ${clock.now() - since} ms on the fake clock)`,
    )
  }
  for (const group of groups) {
    const consumer = observation.consumerOf(group.group) ?? group.group
    if (group.ready > 0)
      reasons.push(`${plural(group.ready, 'message')} for "${consumer}" not handed out`)
    const next = clock.nextInMs()
    const timer = next === undefined ? 'no timer waits' : `the next timer is due in ${next} ms`
    if (group.delayed > 0)
      reasons.push(`${plural(group.delayed, 'message')} for "${consumer}" delayed (${timer})`)
  }
  for (const problem of settling.problems) reasons.push(`the bus reported ${problem.message}`)
  const flood = busiestEvent(observation)
  if (flood) reasons.push(flood)
  return reasons
}

function busiestEvent({ published }: Observation): string | undefined {
  const counts = new Map<string, number>()
  for (const { type } of published) counts.set(type, (counts.get(type) ?? 0) + 1)
  const [event, count] = [...counts].sort((one, two) => two[1] - one[1])[0] ?? ['', 0]
  return count > 500
    ? `"${event}" was published ${count} times: do handlers cause each other?`
    : undefined
}

function notSettled(settling: Settling, groups: readonly GroupStats[], bound: string): TreatyError {
  const reasons = explain(settling, groups)
  const what = reasons.slice(0, 5).join('; ') || 'something keeps happening'
  const more = reasons.length > 5 ? `; and ${reasons.length - 5} more` : ''
  return new TreatyError('NOT_SETTLED', `the bus did not settle within ${bound}: ${what}${more}`, {
    hint: 'Let the handler return, or move the clock yourself with bus.clock.advance.',
    details: { reasons },
    cause: settling.problems[0],
  })
}

/**
 * Resolves when nothing more can happen: no handler is at work, nothing is ready for a consumer that is
 * attached, nothing is due later (unless `advance` is false). Messages for consumers that are not attached,
 * dead letters, and messages blocked behind a dead letter stay as they are.
 *
 * @throws NOT_SETTLED naming each handler and message that keeps the bus from settling
 */
export async function settle(settling: Settling, options: SettledOptions = {}): Promise<void> {
  const { advance, withinMs, realMs } = { ...settledDefaults, ...options }
  const { clock, observation } = settling
  const realDeadline = systemClock.monotonic() + realMs
  const lastMs = clock.monotonic() + withinMs
  let quiet = 0
  let steps = -1
  for (;;) {
    await clock.tick()
    const state = await look(settling)
    const moved = observation.steps() !== steps
    steps = observation.steps()
    quiet = moved ? 0 : quiet + 1
    if (systemClock.monotonic() > realDeadline) {
      throw notSettled(settling, state.read, `${realMs} ms`)
    }
    if (quiet < quietLooks) continue
    const isIdle = state.out === 0 && state.ready === 0
    if (isIdle && (state.delayed === 0 || !advance)) return
    // A handler may await real work, such as a file; only then is it time that it waits for.
    if (!isIdle && quiet < patienceForHandlers) {
      if (quiet > 4) await realPause()
      continue
    }
    const nextMs = advance ? clock.nextInMs() : undefined
    if (nextMs === undefined) {
      await realPause()
      continue
    }
    if (clock.monotonic() + nextMs > lastMs) {
      throw notSettled(settling, state.read, `${withinMs} ms of the fake clock`)
    }
    await clock.advance(nextMs)
    quiet = isIdle ? 0 : patienceForHandlers / 2
  }
}

/**
 * Moves the clock until `ending` has ended: a bus that closes waits for its handlers on the fake clock, which
 * would otherwise stand still for ever. Handlers that wait for something real get a moment first.
 */
export async function moveUntil(clock: FakeClock, ending: Promise<void>): Promise<void> {
  const state = { ended: false }
  const note = () => {
    state.ended = true
  }
  ending.then(note, note)
  for (let looks = 0; !state.ended; looks += 1) {
    await clock.tick()
    if (state.ended) break
    const nextMs = looks < patienceForHandlers ? undefined : clock.nextInMs()
    if (nextMs === undefined) await realPause()
    else await clock.advance(nextMs)
  }
  await ending
}

function realPause(): Promise<void> {
  return new Promise((resolve) => systemClock.setTimeout(resolve, 2))
}
