import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Catalogue, ChannelDefinition } from './catalogue.ts'
import type { EphemeralRunner } from './ephemeral-runner.ts'
import type { Runner } from './group-runner.ts'
import type { Link } from './link.ts'
import type { Members } from './members.ts'
import type { Movers } from './movers.ts'
import type { LanePlace, Names } from './names.ts'
import type { Publisher } from './publisher.ts'
import type { Shelf } from './shelf.ts'
import type { Tally } from './tally.ts'

/** What the parts of a connected transport share. */
export interface Session {
  readonly clock: Clock
  readonly names: Names
  /** Lanes, members, shelves. */
  readonly control: Link
  /** Publishing has a connection of its own: an alarm of the broker stops what publishes. */
  readonly publishing: Link
  readonly catalogue: Catalogue
  readonly members: Members
  readonly movers: Movers
  readonly publisher: Publisher
  /** Groups that have subscribers here. */
  readonly runners: Map<string, Runner>
  readonly ephemeral: Map<string, EphemeralRunner>
  /** Channels that this process has seen, by address. */
  readonly channels: Map<string, ChannelDefinition>
  /** What was published to a channel. */
  tallyOf(address: string): Tally
  /** What was refused before it was published. */
  readonly refusals: Tally
  /** Dead letters of a group; null: of none. */
  lettersOf(group: string | null): Shelf
  reportError(error: TreatyError): void
}

/** The lanes of a channel. */
export function placesOf({ address, lanes }: ChannelDefinition): LanePlace[] {
  return Array.from({ length: lanes }, (_, lane) => ({ address, lane }))
}
