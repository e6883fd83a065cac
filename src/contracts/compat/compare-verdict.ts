import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import type { Description } from './compare-describe.ts'
import type { DirectionVerdict } from './compare-schemas.ts'
import type { ConsumerImpact } from './impact.ts'
import type { Policy } from './policies.ts'
import type { Part, StructuralChange } from './roles.ts'
import type { Bump } from './semver-bump.ts'

/** A schema that changed in a way that is not proved harmless, in one direction. */
export interface SchemaBreak {
  readonly part: Part
  /** `backward`: later readers, earlier messages; `forward`: earlier readers, later messages. */
  readonly direction: 'backward' | 'forward'
  /** The earlier version that it was compared with. */
  readonly against: string
  readonly verdict: Exclude<DirectionVerdict, { readonly verdict: 'compatible' }>
  readonly description: Description
  /** A message that shows it, realistic where examples are known. */
  readonly witness?: Json
}

/** What became of one event or command. */
export interface MessageChange {
  readonly name: string
  readonly kind: 'event' | 'command'
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  readonly bump: Bump
  readonly breaks: readonly SchemaBreak[]
  readonly structural: readonly StructuralChange[]
}

/** May the contract change so, and whom does it hurt? */
export interface ContractVerdict {
  readonly id: string
  /** Versions that were compared. */
  readonly before: string
  readonly after: string
  readonly policy: Policy
  readonly mode: string
  /** Of the messages: `breaking` also where a new major version allows it. */
  readonly verdict: 'compatible' | 'breaking' | 'unknown'
  /** True when the major version was raised, which declares breaks. */
  readonly isMajor: boolean
  readonly bump: Bump
  /** The least version that the contract may carry now; absent where a verdict is unknown. */
  readonly nextVersion?: string
  /** By name: every event and command of either version. */
  readonly messages: Readonly<Record<string, MessageChange>>
  /** By name. */
  readonly consumers: Readonly<Record<string, ConsumerImpact>>
  /** Breaks, hurt consumers and what is not known, with their places; errors unless they are declared or pending. */
  readonly findings: readonly Finding[]
}
