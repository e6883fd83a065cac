import type { LaneEntry } from '../../lanes/driver.ts'
import { letterId } from './dead-record.ts'
import { createLaneBook, type LaneBook } from './lane-book.ts'
import type { LaneState } from './lane-state.ts'
import type { LogRecord } from './log-record.ts'
import { laneName, type Place } from './names.ts'

/** A lane that is ours. Taken over anew it is another hold, so that what belonged to the former is known as late. */
export interface Hold extends Place {
  readonly lane: string
  readonly address: string
  /** What was taken over may have been with a handler up to here. */
  readonly suspectsThrough: number
  book: LaneBook
  /** Read, but the core has no room for it yet. */
  ahead: LogRecord[]
  /** Where the next fetch begins. */
  fetchFrom: number
  isFetching: boolean
  isReleasing: boolean
}

export function createHold(place: Place, address: string, state: LaneState): Hold {
  return {
    ...place,
    lane: laneName(place),
    address,
    suspectsThrough: state.startsThrough ?? -1,
    book: createLaneBook(state),
    ahead: [],
    fetchFrom: state.low,
    isFetching: false,
    isReleasing: false,
  }
}

/** Name of the dead letter of a message: the same whoever writes it. */
export function letterIdOf(group: string, place: Place, { id, record }: LaneEntry): string {
  return letterId([group, place.topic, place.partition, id, record.publishedAt])
}
