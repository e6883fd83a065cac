/**
 * Advisory locks of the broker, each for one transaction. Of a group's claims: one at a time, and no settlement waits for it. Of a group:
 * claims that look at single rows hold it alone, settlements together; so a settlement never frees a chain while a claim decides what is
 * behind it. Whoever wants both takes the claims' first. Of the topology: publishes hold it together, changes alone.
 */
export const lockOf = {
  claimsAlone: (schema: string, group: string): string =>
    `pg_advisory_xact_lock(hashtext('${schema} bus claims'), ${group})`,
  /** SQL that takes the lock of a group for oneself. */
  groupAlone: (schema: string, group: string): string =>
    `pg_advisory_xact_lock(${lockClass(schema)}, ${group})`,
  groupTogether: (schema: string, group: string): string =>
    `pg_advisory_xact_lock_shared(${lockClass(schema)}, ${group})`,
  topologyAlone: (schema: string): string => `pg_advisory_xact_lock(${lockClass(schema)}, 0)`,
  topologyTogether: (schema: string): string =>
    `pg_advisory_xact_lock_shared(${lockClass(schema)}, 0)`,
  /**
   * SQL that shows on a connection that an owner lives: held until the connection ends, however that comes. `isAlive` says
   * whether somebody holds it.
   */
  ownerAlive: (schema: string, owner: string): string =>
    `pg_advisory_lock_shared(${ownerClass(schema)}, ${owner}::integer)`,
  ownerIsGone: (schema: string, owner: string): string =>
    `pg_try_advisory_xact_lock(${ownerClass(schema)}, (${owner})::integer)`,
  /** SQL that says whether we are the one who looks after the whole broker just now. */
  upkeepIfFree: (schema: string): string => `pg_try_advisory_xact_lock(${lockClass(schema)}, -1)`,
} as const

/** Groups are numbered from 1, so 0 and below are free for the rest. */
function lockClass(schema: string): string {
  return `hashtext('${schema} bus')`
}

function ownerClass(schema: string): string {
  return `hashtext('${schema} bus owners')`
}

/**
 * Settings of the functions on the hot path. They find rows by index whatever the statistics say: plans are kept for the life of a
 * connection, and the first of them is made when the tables are empty, where reading all of it looks cheapest. By plain index scans, as only
 * those mark entries of deleted rows as dead, which the next one then passes over without a look at the table: a bitmap scan reads all that
 * has gone since the last vacuum, each time. And by one plan for all arguments: for a single message the planner's guesses make a plan of its
 * own look cheaper each time, and planning costs as much again as all the rest.
 */
export const byIndexOnly = `SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
  SET plan_cache_mode = force_generic_plan`
