import type { Failure, GroupTopology } from '../transport.ts'
import type { LaneLetter } from './driver.ts'
import type { Node } from './lane.ts'

/** The dead letter of a message as it stands now. */
export function letterOf(
  { entry: { record }, firstFailedAt }: Node,
  failure: Failure,
  about: { readonly group: GroupTopology; readonly attempts: number; readonly now: number },
): LaneLetter {
  const { group, attempts, now } = about
  return {
    ...failure,
    messageId: record.id,
    event: record.type,
    consumer: group.consumer,
    group: group.name,
    attempts,
    firstFailedAt: firstFailedAt ?? now,
    failedAt: now,
    address: record.address,
    position: record.position,
    body: record.body,
    headers: record.headers,
    contentType: record.contentType,
    ...(record.key === undefined ? {} : { key: record.key }),
    ...(record.correlationId === undefined ? {} : { correlationId: record.correlationId }),
  }
}
