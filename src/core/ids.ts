import { randomFillSync } from 'node:crypto'
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'

const hex = Buffer.from('0123456789abcdef')
const uuidLength = 36
const hyphen = 0x2d
/** Reused: written in whole by each call. Joining pieces instead makes a rope, which every reader of the text pays for. */
const letters = Buffer.alloc(uuidLength)

function uuidText(bytes: Uint8Array): string {
  let to = 0
  for (let at = 0; at < 16; at += 1) {
    if (at === 4 || at === 6 || at === 8 || at === 10) {
      letters[to] = hyphen
      to += 1
    }
    const byte = bytes[at] as number
    letters[to] = hex[byte >> 4] as number
    letters[to + 1] = hex[byte & 15] as number
    to += 2
  }
  return letters.toString('latin1')
}

/**
 * A source of UUIDs of version 7: ordered by time, so that an index on them grows at its end.
 * Within one source each id is greater than the one before, also when the clock steps back.
 *
 * @param fill Fills the array with random bytes; injected in tests.
 * @see RFC 9562 section 5.7, monotonicity by method 1 of section 6.2 (a 12-bit counter)
 */
export function createIdSource(
  clock: Pick<Clock, 'now'> = systemClock,
  fill: (bytes: Uint8Array) => void = randomFillSync,
): () => string {
  const pool = new Uint8Array(4096)
  let used = pool.length
  const bytes = new Uint8Array(16)
  let lastMs = 0
  let counter = 0

  return () => {
    if (used + 10 > pool.length) {
      fill(pool)
      used = 0
    }
    const now = clock.now()
    if (now > lastMs) {
      lastMs = now
      counter = (pool[used] as number) & 0x7f
    } else {
      counter += 1
      if (counter > 0xfff) {
        lastMs += 1
        counter = 0
      }
    }
    bytes[0] = lastMs / 0x10000000000
    bytes[1] = lastMs / 0x100000000
    bytes[2] = lastMs / 0x1000000
    bytes[3] = lastMs / 0x10000
    bytes[4] = lastMs / 0x100
    bytes[5] = lastMs
    bytes[6] = 0x70 | (counter >> 8)
    bytes[7] = counter
    bytes[8] = 0x80 | ((pool[used + 1] as number) & 0x3f)
    for (let at = 9; at < 16; at += 1) bytes[at] = pool[used + at - 7] as number
    used += 10
    return uuidText(bytes)
  }
}

/** A UUID that is the same for the same bytes: made from a SHA-256 digest (RFC 9562 section 5.8, version 8). */
export function uuidFromDigest(digest: Uint8Array): string {
  const bytes = Uint8Array.from(digest.subarray(0, 16))
  bytes[6] = 0x80 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  return uuidText(bytes)
}

const microsText = Array.from(
  { length: 1000 },
  (_, micros) => `${String(micros).padStart(3, '0')}Z`,
)

/**
 * A source of RFC 3339 timestamps in UTC with six fraction digits; within one source each is later
 * than the one before, so that a producer's messages sort by their timestamp.
 */
export function createTimestampSource(clock: Pick<Clock, 'now'> = systemClock): () => string {
  let lastMs = 0
  let micros = 0
  let writtenMs = Number.NaN
  let written = ''
  return () => {
    const now = clock.now()
    if (now > lastMs) {
      lastMs = now
      micros = 0
    } else {
      micros += 1
      if (micros > 999) {
        lastMs += 1
        micros = 0
      }
    }
    if (writtenMs !== lastMs) {
      writtenMs = lastMs
      written = new Date(lastMs).toISOString().slice(0, -1)
    }
    return `${written}${microsText[micros]}`
  }
}
