import { fromBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { EntryState, LaneEntry } from '../../lanes/driver.ts'
import type { IncomingRecord } from '../../transport.ts'
import type { EntryTag } from './lane-book.ts'
import type { MessageKind } from './lane-state.ts'
import { placeOf } from './names.ts'
import type { Stored } from './stored.ts'
import { readHeaders } from './wire-headers.ts'

/** In a replay: the letter that it came from. */
export const letterHeader = 'treaty-letter'

/** The place of a message as text that sorts like its number in the stream. */
export function positionOf(seq: number): string {
  return String(seq).padStart(16, '0')
}

/** A message of a channel as a record. */
export function recordOf(address: string, stored: Stored): IncomingRecord {
  const all = readHeaders(stored.headers())
  const headers = all[letterHeader] === undefined ? all : withoutLetter(all)
  const messageId = headers['treaty-id'] === undefined ? messageIdOf(stored) : undefined
  return fromBrokerHeaders(
    {
      headers,
      body: stored.data,
      address,
      position: positionOf(stored.seq),
      publishedAt: Number(stored.timeNs / 1_000_000n),
      ...(messageId === undefined ? {} : { id: messageId }),
    },
    'ce-',
  )
}

/** A replay names its letter: that is between us and the lane's owner. */
function withoutLetter(all: Readonly<Record<string, string>>): Record<string, string> {
  const { [letterHeader]: _letter, ...headers } = all
  return headers
}

function messageIdOf(stored: Stored): string | undefined {
  return [...stored.headers()].find(([name]) => name.toLowerCase() === 'nats-msg-id')?.[1]
}

/** What a message of a lane is to a group, under which name it counts. */
export function tagOfStored(
  stored: Stored,
  at: { readonly address: string; readonly group: string | null; readonly record: IncomingRecord },
): EntryTag {
  const place = placeOf(at.address, stored.subject)
  const kind: MessageKind =
    place.group === undefined ? 'normal' : place.group === at.group ? 'replay' : 'foreign'
  return { seq: stored.seq, type: place.type ?? at.record.type, kind }
}

export function laneEntryOf(
  record: IncomingRecord,
  tag: EntryTag,
  left: { readonly state: EntryState | undefined; readonly isSuspect: boolean },
): LaneEntry {
  return {
    id: String(tag.seq),
    place: tag.seq,
    record,
    tag,
    ...(left.state === undefined ? {} : { state: left.state }),
    ...(left.isSuspect ? { suspect: true } : {}),
    ...(tag.kind === 'foreign' ? { foreign: true } : {}),
  }
}
