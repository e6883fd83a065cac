import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Acks } from './acks.ts'
import type { Definitions } from './definitions.ts'
import type { Documents } from './documents.ts'
import type { LocalGroup } from './groups.ts'
import type { Places } from './names.ts'
import type { Features } from './streams.ts'
import type { Wire } from './wire.ts'

/** What the parts of a connected broker share. */
export interface Session {
  readonly wire: Wire
  readonly acks: Acks
  readonly clock: Clock
  readonly places: Places
  readonly features: Features
  /** Topology and the state of lanes. */
  readonly state: Documents
  /** Who is alive. */
  readonly members: Documents
  readonly dead: Documents
  readonly definitions: Definitions
  /** Milliseconds after which a silent replica's lanes are taken over. */
  readonly leaseMs: number
  readonly replicas: number
  readonly namespace: string
  /** Name of this connection, for groups that vanish with it. */
  readonly id: string
  readonly messageBytesMax: number
  /** Groups that are subscribed to here. */
  readonly groups: Map<string, LocalGroup>
  reportError(error: TreatyError): void
  isEnded: boolean
}
