import type { ComponentMigrations } from '../../../store/index.ts'

/** What a delivery row is doing. The numbers are in the file: never renumber. */
export const rowState = {
  /** May be leased. */
  ready: 0,
  /** Out with the owner that the row names. */
  leased: 1,
  /** Behind an unfinished message of its chain. */
  blocked: 2,
  /** Waits for `ready_at`, and holds its chain meanwhile. */
  delayed: 3,
  /** Dead under `onDead: block`: holds its chain until replay or discard. */
  dead: 4,
  /** Published for later; has no chain until it is due, so that it holds nobody up. */
  scheduled: 5,
} as const

/**
 * A message is one row of `bus_log`; what one group still has to do with it is one row of
 * `bus_delivery`, which is deleted when done. A *chain* is what must stay in order: the messages of
 * one key of one channel (or all of a channel) within a group. Of each chain one row, its holder,
 * is not
 * blocked; the index `bus_delivery_chain` finds the next when the holder goes.
 *
 * The partial indexes are kept narrow on purpose: an unkeyed message without time to live costs
 * only
 * the primary key and, while it is ready, `bus_delivery_ready`, which has exactly the order of
 * claims.
 */
const tables = `
  CREATE TABLE bus_meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_seq INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    topology INTEGER NOT NULL,
    next_owner INTEGER NOT NULL
  ) STRICT;
  INSERT INTO bus_meta VALUES (1, 1, 0, 0, 1);

  CREATE TABLE bus_topic (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    ordering TEXT NOT NULL,
    retention_ms INTEGER
  ) STRICT;

  CREATE TABLE bus_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    consumer TEXT NOT NULL,
    start TEXT NOT NULL,
    dead_address TEXT NOT NULL,
    dead_retention_ms INTEGER NOT NULL,
    on_dead TEXT NOT NULL,
    on_expired TEXT NOT NULL,
    deliveries_max INTEGER NOT NULL,
    owner INTEGER
  ) STRICT;

  CREATE TABLE bus_subscription (
    grp INTEGER NOT NULL,
    topic INTEGER NOT NULL,
    types TEXT NOT NULL,
    start_seq INTEGER NOT NULL,
    PRIMARY KEY (topic, grp)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE bus_log (
    seq INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    key TEXT,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    priority INTEGER NOT NULL,
    expires_at INTEGER,
    deliver_at INTEGER,
    correlation_id TEXT,
    causation_id TEXT,
    published_at INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    origin INTEGER,
    body BLOB
  ) STRICT;
  CREATE INDEX bus_log_kept ON bus_log (topic, published_at) WHERE kept = 1;
  CREATE INDEX bus_log_correlation ON bus_log (correlation_id, seq) WHERE kept = 1;
  CREATE INDEX bus_log_replay ON bus_log (id) WHERE origin IS NOT NULL;

  CREATE TABLE bus_delivery (
    grp INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    releases INTEGER NOT NULL,
    owner INTEGER,
    ready_at INTEGER,
    chain TEXT,
    expires_at INTEGER,
    first_failed_at INTEGER,
    PRIMARY KEY (grp, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bus_delivery_ready ON bus_delivery (grp, priority DESC, seq) WHERE state = 0;
  CREATE INDEX bus_delivery_due ON bus_delivery (grp, ready_at) WHERE ready_at IS NOT NULL;
  CREATE INDEX bus_delivery_chain ON bus_delivery (grp, chain, seq) WHERE chain IS NOT NULL;
  CREATE INDEX bus_delivery_expiry ON bus_delivery (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE bus_attempts (
    seq INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (seq, grp)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE bus_dead (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    grp INTEGER,
    group_name TEXT,
    consumer TEXT,
    event TEXT NOT NULL,
    message_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    address TEXT NOT NULL,
    seq INTEGER,
    key TEXT,
    correlation_id TEXT,
    content_type TEXT NOT NULL,
    counted TEXT NOT NULL,
    failure TEXT NOT NULL
  ) STRICT;
  CREATE INDEX bus_dead_age ON bus_dead (grp, failed_at);
  CREATE INDEX bus_dead_message ON bus_dead (message_id);

  CREATE TABLE bus_dead_body (
    no INTEGER PRIMARY KEY,
    headers TEXT NOT NULL,
    priority INTEGER NOT NULL,
    causation_id TEXT,
    published_at INTEGER,
    stack TEXT,
    body BLOB
  ) STRICT;

  CREATE TABLE bus_inbox (
    grp INTEGER NOT NULL,
    key TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (grp, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bus_inbox_until ON bus_inbox (until);

  CREATE TABLE bus_dedup (
    topic INTEGER NOT NULL,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (topic, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bus_dedup_until ON bus_dedup (until);

  CREATE TABLE bus_owner (
    id INTEGER PRIMARY KEY,
    pid INTEGER NOT NULL,
    machine TEXT NOT NULL,
    started TEXT NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE bus_count (
    event TEXT NOT NULL,
    consumer TEXT NOT NULL,
    published INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    handled INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    PRIMARY KEY (event, consumer)
  ) STRICT, WITHOUT ROWID;`

/** The broker's part of a store file. */
export const brokerMigrations: ComponentMigrations = { component: 'broker', migrations: [tables] }
