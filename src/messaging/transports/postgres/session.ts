import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { PostgresAccess } from '../../../store/index.ts'
import type { GroupTopology } from '../../transport.ts'
import type { Lease, LocalGroup } from './groups.ts'

/** What the parts of a connected broker share. */
export interface Session {
  readonly access: PostgresAccess
  /** The quoted schema. */
  readonly schema: string
  readonly clock: Clock
  readonly leaseMs: number
  readonly messageBytesMax: number
  /** Connections at most. */
  readonly poolMax: number
  /** Who we are to the others; another after our lease has ended. */
  ownerId: number
  readonly leases: Set<Lease>
  readonly groups: Map<string, LocalGroup>
  /** Number of each group that was met, by name. */
  readonly groupIds: Map<string, number>
  /** Groups that vanish with us, to be made anew should we lose our place. */
  readonly ephemeral: Map<string, GroupTopology>
  /** Number of the latest batch of settlements. */
  batches: number
  /** Number of the latest row of `bus_lease`. */
  bulks: number
  /** False: as far as we know nobody else is there to be told anything. */
  hasOthers: boolean
  /** Something may be there for these groups, here and in other processes, or only in one of the two. */
  wake(groupIds: readonly number[], whom?: 'local' | 'others'): void
  /** Makes itself known to the others, who then tell us what happens. */
  greet: () => Promise<void>
  /** Shows on a connection of its own, as long as it lasts, that this owner lives. */
  showAlive: (ownerId: number) => Promise<void>
  reportError(error: TreatyError): void
  isEnded: boolean
}

/** Writers to the ledger: each has rows of its own, so that they do not queue at one. */
const writers = { publish: 0, settle: 1, claim: 2 } as const
const ownersApart = 32

/** The shard of the ledger that a writer of this process adds to. */
export function shardOf(session: Session, writer: keyof typeof writers): number {
  return (session.ownerId % ownersApart) * 3 + writers[writer]
}
