/** Longer leases are as good as endless, and PostgreSQL's calendar ends in the year 294276. */
const leaseMsMax = 1e14

/** Milliseconds for a lease that the server adds to its clock. */
export function leaseOf(ms: number): number {
  return Math.min(leaseMsMax, ms)
}

/**
 * The migration that makes the sequence of this file, one for claims and locks: it never goes back, so that a
 * token of a row deleted since is never met again.
 */
export const tokenSequence = (schema: string): string => `CREATE SEQUENCE ${schema}.store_tokens`

/** SQL: the instant that lies so many milliseconds after now, on the server's clock, which a transaction does not stop. */
export function sqlAfterMs(milliseconds: string): string {
  return `clock_timestamp() + ${milliseconds} * interval '1 millisecond'`
}
