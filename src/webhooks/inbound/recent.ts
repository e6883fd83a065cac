import type { Clock } from '../../core/clock.ts'

/** Keys that were seen a while ago at most: the newest `most` of them. */
export interface Recent {
  has(key: string): boolean
  add(key: string): void
}

export function createRecent(
  most: number,
  keepMs: number,
  clock: Pick<Clock, 'monotonic'>,
): Recent {
  const seen = new Map<string, number>()
  return {
    has(key) {
      const at = seen.get(key)
      return at !== undefined && clock.monotonic() - at < keepMs
    },
    add(key) {
      seen.delete(key)
      seen.set(key, clock.monotonic())
      if (seen.size <= most) return
      for (const oldest of seen.keys()) {
        seen.delete(oldest)
        return
      }
    },
  }
}
