import { TreatyError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { LogEntry, Store } from '../store/index.ts'

/** One change as it was written: what, when, and in which order. */
export interface Recorded<Change> {
  /** Position in the history, from 1, without gaps. */
  readonly position: number
  /** Epoch milliseconds, by the clock of the store. */
  readonly at: number
  readonly change: Change
}

/** What a decision comes to: changes, written together or not at all, and what the caller is told then. */
export interface Decision<Change, Result> {
  readonly changes: readonly Change[]
  /** Called after the changes are part of the state. */
  result(): Result
}

/**
 * A state whose only source is its history: an append-only stream of changes in the store. A change is decided on
 * the latest state and written only if nobody wrote meanwhile, so that of two who want the same thing one wins; and
 * what happened cannot be missing from the history, because the history is what happened.
 */
export interface Ledger<State, Change> {
  /** The state with all that had been written, by any process, when this was called. Not to be changed by the caller. */
  read(): Promise<State>
  /**
   * Decides and writes. `decide` is asked anew whenever another process wrote first, and may throw to refuse.
   *
   * @throws REGISTRY_BUSY after 200 rounds · the STORE_ codes
   */
  change<Result>(
    decide: (state: State) => Decision<Change, Result> | Promise<Decision<Change, Result>>,
  ): Promise<Result>
  /** A page of the history, the oldest first. */
  history(options: { after?: number; limit: number }): Promise<readonly Recorded<Change>[]>
}

export interface LedgerOptions<State, Change> {
  readonly store: Store
  /** Name of the stream. */
  readonly stream: string
  readonly state: State
  /** Takes one change into the state, in place. Must know every kind that was ever written. */
  readonly apply: (state: State, recorded: Recorded<Change>) => void
}

const pageSize = 1000
const roundsMax = 200

/** Opens a ledger; nothing is read before it is asked. */
export function openLedger<State, Change extends JsonObject>(
  options: LedgerOptions<State, Change>,
): Ledger<State, Change> {
  const { store, stream, state, apply } = options
  let position = 0
  let reading: Promise<void> = Promise.resolve()
  let changing: Promise<unknown> = Promise.resolve()

  async function catchUp(): Promise<void> {
    for (;;) {
      const page = await store.log.read(stream, { after: position, limit: pageSize })
      for (const entry of page) {
        apply(state, recorded<Change>(entry))
        position = entry.position
      }
      if (page.length < pageSize) return
    }
  }

  // One after the other: two at a time would take the same entries in twice.
  function read(): Promise<State> {
    const done = reading.then(catchUp)
    reading = done.catch(() => {})
    return done.then(() => state)
  }

  async function attempt<Result>(
    decide: (state: State) => Decision<Change, Result> | Promise<Decision<Change, Result>>,
  ): Promise<Result> {
    for (let round = 0; round < roundsMax; round += 1) {
      await read()
      const expect = position
      const decision = await decide(state)
      if (decision.changes.length === 0) return decision.result()
      const changes = decision.changes as readonly Json[]
      if ((await store.log.append(stream, changes, { expect })) === undefined) continue
      await read()
      return decision.result()
    }
    throw new TreatyError(
      'REGISTRY_BUSY',
      `the change was overtaken by others ${roundsMax} times in a row`,
      { hint: 'Try again.' },
    )
  }

  return {
    read,
    change(decide) {
      const done = changing.then(() => attempt(decide))
      changing = done.catch(() => {})
      return done
    },
    async history({ after = 0, limit }) {
      return (await store.log.read(stream, { after, limit })).map((entry) =>
        recorded<Change>(entry),
      )
    },
  }
}

function recorded<Change>({ position, at, value }: LogEntry): Recorded<Change> {
  return { position, at, change: value as Change }
}
