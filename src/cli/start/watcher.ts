import { type Clock, delay } from '../../core/clock.ts'
import type { Bus, BusStats, DeadLetterSummary } from '../../messaging/index.ts'

/** What a watcher sees. Nothing here waits: it is called and goes on. */
export interface WatcherSink {
  /** A message of an event that is to be shown, once. */
  message(event: string, data: unknown): void
  /** Dead letters that are new, the oldest first; `more` further ones are not listed. */
  dead(letters: readonly DeadLetterSummary[], more: number): void
  /** The counts, when they have moved. */
  counts(stats: BusStats): void
  /** Nothing waits, and nothing has moved for a while. Called once each time that it comes to rest. */
  rest(stats: BusStats): void
}

export interface WatcherOptions {
  readonly bus: () => Bus | undefined
  /** Events to show. */
  readonly events: readonly string[]
  readonly clock: Clock
  readonly signal: AbortSignal
  /** False as long as there is more to come, so that a pause is no rest. */
  readonly mayRest: () => boolean
  readonly sink: WatcherSink
}

const everyMs = 250
/** Longer than the shortest retry waits, shorter than patience. */
const restAfterMs = 1500
/** Dead letters that are shown one by one before a burst is only counted; one more may be shown every so often. */
const deadShownMax = 5
const deadRefillMs = 2000
const pageSize = 200

/** Looks at the bus. It reads only, and sees the messages of all processes. */
export interface BusWatcher {
  /** One look: shows what is new since the last, or since the watcher was made. */
  look(): Promise<void>
  /** Looks again and again until the signal aborts. */
  run(): Promise<void>
}

export function createBusWatcher(options: WatcherOptions): BusWatcher {
  const { clock, signal, sink } = options
  const since = clock.now()
  const tails = options.events.map((event) => createTail(event, since))
  const dead = createDeadTail(since, clock)
  let last = ''
  let movedAt = clock.monotonic()
  let isResting = false

  async function look(): Promise<void> {
    const bus = options.bus()
    if (!bus) return
    const stats = await bus.stats()
    const text = JSON.stringify(stats)
    if (text !== last) {
      last = text
      movedAt = clock.monotonic()
      isResting = false
      for (const tail of tails) await tail(bus, sink)
      await dead.look(bus, sink)
      sink.counts(stats)
    }
    const isStill = clock.monotonic() - movedAt >= restAfterMs
    if (isStill && !isResting && stats.waiting === 0 && options.mayRest()) {
      isResting = true
      dead.flush(sink)
      sink.rest(stats)
    }
  }
  return {
    look,
    async run() {
      while (!signal.aborted) {
        // A bus that is being exchanged or closed refuses; the next look asks the next one.
        await look().catch(() => {})
        await delay(clock, everyMs, signal).catch(() => {})
      }
    },
  }
}

type Tail = (bus: Bus, sink: WatcherSink) => Promise<void>

/** Reads messages of one event that were published since an instant (epoch milliseconds). */
function createTail(event: string, since: number): Tail {
  let cursor: string | undefined
  return async (bus, sink) => {
    for (let isMore = true; isMore; ) {
      const page = await bus.messages({
        event,
        limit: pageSize,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const { record, message } of page.items) {
        if (record.publishedAt >= since && message) sink.message(event, message.data)
      }
      // A position is a cursor too: the next look begins behind what this one has seen.
      cursor = page.next ?? page.items.at(-1)?.record.position ?? cursor
      isMore = page.next !== undefined
    }
  }
}

/** Reads dead letters that died since an instant (epoch milliseconds); of a burst it shows some and counts the rest. */
function createDeadTail(since: number, clock: Clock): DeadTail {
  let latest = since
  let seen = new Set<string>()
  let mayShow = deadShownMax
  let uncounted = 0
  let refilledAt = clock.monotonic()

  function report(fresh: readonly DeadLetterSummary[], sink: WatcherSink): void {
    const isDue = clock.monotonic() - refilledAt >= deadRefillMs
    if (isDue) {
      mayShow = Math.min(deadShownMax, mayShow + 1)
      refilledAt = clock.monotonic()
    }
    const shown = fresh.slice(0, mayShow)
    mayShow -= shown.length
    uncounted += fresh.length - shown.length
    const more = isDue ? uncounted : 0
    uncounted -= more
    if (shown.length > 0 || more > 0) sink.dead(shown, more)
  }
  return {
    async look(bus, sink) {
      const letters = await lettersSince(bus, latest)
      const fresh = letters.filter(({ id }) => !seen.has(id))
      latest = Math.max(latest, ...fresh.map((letter) => letter.failedAt))
      // Letters of the same millisecond may still come; older ones are no longer asked for.
      if (fresh.length > 0) seen = new Set(letters.map(({ id }) => id))
      report(fresh, sink)
    },
    flush(sink) {
      if (uncounted > 0) sink.dead([], uncounted)
      uncounted = 0
    },
  }
}

interface DeadTail {
  look: Tail
  /** Reports what was counted but not yet told. */
  flush(sink: WatcherSink): void
}

async function lettersSince(bus: Bus, failedAfter: number): Promise<DeadLetterSummary[]> {
  const letters: DeadLetterSummary[] = []
  let cursor: string | undefined
  do {
    const page = await bus.dead.list({
      limit: pageSize,
      failedAfter,
      ...(cursor === undefined ? {} : { cursor }),
    })
    letters.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  return letters
}
