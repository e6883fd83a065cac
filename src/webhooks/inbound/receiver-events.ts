import type { TreatyError } from '../../core/errors.ts'
import type { RefusalReason } from '../scheme.ts'

/** What became of a request. */
export interface ReceiverEvent {
  readonly source: string
  readonly outcome:
    | 'published'
    | 'quarantined'
    | 'refused'
    | 'ignored'
    | 'kept'
    | 'handled'
    | 'duplicate'
    | 'handshake'
    | 'unverified'
    | 'limited'
    | 'malformed'
    | 'failed'
  readonly status: number
  readonly id?: string
  readonly secretIndex?: number
  /** Why the signature did not hold; never told to the sender. */
  readonly reason?: RefusalReason
  readonly error?: TreatyError
  readonly deadLetter?: string
  readonly messageId?: string
  readonly elapsedMs: number
}

/** Counts of one process since it began, by source. */
export type ReceiverStats = Readonly<Record<string, SourceStats>>
/** Counts of one source. */
export interface SourceStats {
  /** Requests by what became of them: `published`, `duplicate`, `unverified`, … */
  readonly outcomes: Readonly<Record<string, number>>
  /** Refused signatures by reason. */
  readonly unverified: Readonly<Record<string, number>>
  /** Verified requests by position of the secret: when an old one stays at 0, it can be taken away. */
  readonly secrets: Readonly<Record<string, number>>
}

/** Counts that grow with each request. */
export interface ReceiverCounts {
  add(event: ReceiverEvent): void
  read(): ReceiverStats
}

/** Counts that begin at 0. */
export function createReceiverCounts(): ReceiverCounts {
  const counts = new Map<string, { outcomes: Tally; unverified: Tally; secrets: Tally }>()
  return {
    add({ source, outcome, reason, secretIndex }) {
      const own = counts.get(source) ?? {
        outcomes: new Map(),
        unverified: new Map(),
        secrets: new Map(),
      }
      counts.set(source, own)
      increment(own.outcomes, outcome)
      if (reason !== undefined) increment(own.unverified, reason)
      if (secretIndex !== undefined) increment(own.secrets, String(secretIndex))
    },
    read: () =>
      Object.fromEntries(
        [...counts].map(([source, { outcomes, unverified, secrets }]) => [
          source,
          {
            outcomes: Object.fromEntries(outcomes),
            unverified: Object.fromEntries(unverified),
            secrets: Object.fromEntries(secrets),
          },
        ]),
      ),
  }
}

type Tally = Map<string, number>

function increment(tally: Tally, name: string): void {
  tally.set(name, (tally.get(name) ?? 0) + 1)
}
