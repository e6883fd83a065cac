import type { Clock } from '../../core/clock.ts'

/** Keys that were seen a while ago at most. */
export interface Recent {
  has(key: string): boolean
  add(key: string): void
}

/**
 * Remembers the newest `most` keys or more, at most twice as many, each for `keepMs`. Two generations, of which the older is
 * forgotten as a whole: taking the oldest out of one map again and again would walk past all that were taken before.
 */
export function createRecent(
  most: number,
  keepMs: number,
  clock: Pick<Clock, 'monotonic'>,
): Recent {
  let older = new Map<string, number>()
  let newer = new Map<string, number>()
  return {
    has(key) {
      const at = newer.get(key) ?? older.get(key)
      return at !== undefined && clock.monotonic() - at < keepMs
    },
    add(key) {
      if (newer.size >= most) {
        older = newer
        newer = new Map()
      }
      newer.set(key, clock.monotonic())
    },
  }
}
