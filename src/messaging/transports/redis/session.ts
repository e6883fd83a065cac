import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import type { GroupTopology } from '../../transport.ts'
import type { Doorbell } from './doorbell.ts'
import type { Link } from './link.ts'
import type { Names } from './names.ts'
import type { RedisPlace } from './url.ts'

/** What the parts of one connected transport share. */
export interface Session {
  readonly link: Link
  readonly doorbell: Doorbell
  readonly names: Names
  readonly place: RedisPlace
  readonly clock: Clock
  readonly random: Random
  /** Milliseconds after which the lanes of a silent process are free. */
  readonly leaseMs: number
  readonly messageBytesMax: number
  /** This process, for as long as the transport is connected; never used again. */
  readonly id: string
  /** How the server writes to its disk, as far as it says. */
  readonly fsync: () => string | undefined
  /** Channels that this process has to do with, and so looks after. */
  readonly addresses: Set<string>
  /** Groups that vanish with this connection. */
  readonly ephemeral: Map<string, GroupTopology>
  reportError(error: TreatyError): void
  isEnded: boolean
}
