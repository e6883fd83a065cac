import type { Clock } from '../../core/clock.ts'

/** Whether this process may still believe that it owns what it owned. */
export interface Freshness {
  /** Call before a heartbeat is sent; call the result once it was answered. What was heard later proves nothing earlier. */
  begin(): () => void
  isFresh(): boolean
  /** Milliseconds until it is stale; 0: it is. */
  leftMs(): number
}

/** The part of the lease in which handlers may start: others take over after the whole of it, by the broker's clock. */
const shareOfLease = 0.6

/**
 * Measured from the instant before the last answered heartbeat was sent, on the monotonic clock: a process that was frozen wakes up stale,
 * whatever data it finds in its buffers.
 */
export function createFreshness(clock: Clock, leaseMs: number): Freshness {
  let provenAt = Number.NEGATIVE_INFINITY
  const leftMs = () => Math.max(0, provenAt + shareOfLease * leaseMs - clock.monotonic())
  return {
    begin() {
      const sentAt = clock.monotonic()
      return () => {
        provenAt = Math.max(provenAt, sentAt)
      }
    },
    isFresh: () => leftMs() > 0,
    leftMs,
  }
}
