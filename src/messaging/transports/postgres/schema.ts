import type { PostgresMigrations } from '../../../store/index.ts'
import { ackFunction } from './ack-function.ts'
import { claimFunctions } from './claim-functions.ts'
import { endFunctions } from './end-functions.ts'
import { chainFunction, leaseFunctions, leaseTable } from './leases.ts'
import { ledgerFunction } from './ledger-function.ts'
import { publishFunctions } from './publish-functions.ts'
import { settleFunctions } from './settle-functions.ts'

/** What a delivery row is doing. The numbers are in the database: never renumber. */
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
  /** Published for later; not yet in its chain, so that it holds nobody up. */
  scheduled: 5,
  /**
   * Was not looked at yet: publishers need not know the state of a chain, and wait for nobody. Stays so while it is leased in bulk, to its
   * end; see leases.ts.
   */
  arrived: 6,
  /** As arrived, of a chain, with a priority or a time to live: the next claim makes it ready or blocked. */
  placing: 7,
} as const

/**
 * The tables of the embedded broker, with four differences: rows arrive unordered (`arrived`), delivery rows carry the
 * type for the ledger, the ledger has a row for each writer (`shard`) so that writers do not queue at it, and a sequence
 * gives the numbers, which therefore have gaps. An owner's row also has the result of its latest batch of settlements, for the case that
 * the answer is lost with the connection.
 */
const tables = (s: string) => `
  CREATE SEQUENCE ${s}.bus_seq CACHE 1;
  CREATE SEQUENCE ${s}.bus_owner_id;

  CREATE TABLE ${s}.bus_topic (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text COLLATE "C" NOT NULL UNIQUE,
    ordering text NOT NULL,
    retention_ms bigint
  );
  CREATE TABLE ${s}.bus_group (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    consumer text COLLATE "C" NOT NULL,
    start text NOT NULL,
    dead_address text NOT NULL,
    dead_retention_ms bigint NOT NULL,
    on_dead text NOT NULL,
    on_expired text NOT NULL,
    deliveries_max integer NOT NULL,
    owner bigint
  );
  CREATE TABLE ${s}.bus_subscription (
    topic integer NOT NULL,
    grp integer NOT NULL,
    types text[],
    start_seq bigint NOT NULL,
    PRIMARY KEY (topic, grp)
  );

  CREATE TABLE ${s}.bus_log (
    seq bigint PRIMARY KEY,
    topic integer NOT NULL,
    id text NOT NULL,
    type text COLLATE "C" NOT NULL,
    key text,
    content_type text NOT NULL,
    headers text NOT NULL,
    priority smallint NOT NULL,
    expires_at bigint,
    deliver_at bigint,
    correlation_id text,
    causation_id text,
    published_at bigint NOT NULL,
    kept boolean NOT NULL,
    origin bigint,
    body bytea NOT NULL
  ) WITH (autovacuum_vacuum_scale_factor = 0.01);
  CREATE INDEX bus_log_kept ON ${s}.bus_log (topic, published_at) WHERE kept;
  CREATE INDEX bus_log_correlation ON ${s}.bus_log USING hash (correlation_id) WHERE kept;
  CREATE INDEX bus_log_replay ON ${s}.bus_log USING hash (id) WHERE origin IS NOT NULL;

  CREATE TABLE ${s}.bus_delivery (
    seq bigint NOT NULL,
    grp integer NOT NULL,
    topic integer NOT NULL,
    type text COLLATE "C" NOT NULL,
    state smallint NOT NULL,
    priority smallint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    deliveries integer NOT NULL DEFAULT 0,
    releases integer NOT NULL DEFAULT 0,
    owner bigint,
    ready_at bigint,
    chain text COLLATE "C",
    expires_at bigint,
    first_failed_at bigint,
    PRIMARY KEY (seq, grp)
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
  CREATE INDEX bus_delivery_ready ON ${s}.bus_delivery (grp, priority DESC, seq) WHERE state = 0;
  CREATE INDEX bus_delivery_age ON ${s}.bus_delivery (grp, seq) WHERE state = 0;
  CREATE INDEX bus_delivery_arrived ON ${s}.bus_delivery (grp, seq) WHERE state = 6;
  CREATE INDEX bus_delivery_due ON ${s}.bus_delivery (grp, ready_at) WHERE ready_at IS NOT NULL;
  CREATE INDEX bus_delivery_chain ON ${s}.bus_delivery (grp, chain, seq)
    WHERE chain IS NOT NULL AND state NOT IN (5, 6);
  CREATE INDEX bus_delivery_expiry ON ${s}.bus_delivery (grp, expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX bus_delivery_owner ON ${s}.bus_delivery (owner) WHERE state = 1;

  CREATE TABLE ${s}.bus_attempts (
    seq bigint NOT NULL,
    grp integer NOT NULL,
    attempts integer NOT NULL,
    PRIMARY KEY (seq, grp)
  );
  CREATE TABLE ${s}.bus_dead (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
    grp integer,
    group_name text,
    consumer text,
    event text NOT NULL,
    message_id text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    first_failed_at bigint NOT NULL,
    failed_at bigint NOT NULL,
    address text NOT NULL,
    seq bigint,
    key text,
    correlation_id text,
    causation_id text,
    content_type text NOT NULL,
    counted text NOT NULL,
    failure text NOT NULL,
    stack text,
    headers text NOT NULL,
    priority smallint NOT NULL,
    published_at bigint,
    body bytea NOT NULL
  );
  CREATE INDEX bus_dead_age ON ${s}.bus_dead (grp, failed_at);
  CREATE INDEX bus_dead_message ON ${s}.bus_dead USING hash (message_id);

  CREATE TABLE ${s}.bus_inbox (
    grp integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (grp, key)
  );
  CREATE INDEX bus_inbox_until ON ${s}.bus_inbox (until);
  CREATE TABLE ${s}.bus_dedup (
    topic integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (topic, id)
  );
  CREATE INDEX bus_dedup_until ON ${s}.bus_dedup (until);
  CREATE TABLE ${s}.bus_owner (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    lease_until bigint NOT NULL,
    batch bigint NOT NULL DEFAULT 0,
    places integer[]
  ) WITH (fillfactor = 20);
  CREATE TABLE ${s}.bus_count (
    event text COLLATE "C" NOT NULL,
    consumer text COLLATE "C" NOT NULL,
    shard integer NOT NULL,
    published bigint NOT NULL,
    deliveries bigint NOT NULL,
    handled bigint NOT NULL,
    skipped bigint NOT NULL,
    retried bigint NOT NULL,
    dead bigint NOT NULL,
    expired bigint NOT NULL,
    waiting bigint NOT NULL,
    PRIMARY KEY (event, consumer, shard)
  ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.01)`

/** Functions that the others use. */
const basics = (s: string) => `
  CREATE OR REPLACE FUNCTION ${s}.bus_now() RETURNS bigint LANGUAGE sql VOLATILE AS $f$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
  $f$;
  -- What must stay in order together; NULL: nothing. Long keys would not fit into an index.
  CREATE OR REPLACE FUNCTION ${s}.bus_chain(ordering text, topic integer, key text) RETURNS text
  LANGUAGE sql IMMUTABLE AS $f$
    SELECT CASE WHEN ordering = 'per-channel' THEN topic::text
                WHEN ordering = 'none' OR key IS NULL THEN NULL
                WHEN octet_length(key) <= 200 THEN topic || ':' || key
                ELSE topic || '#' || md5(key) END
  $f$`

/** What version 1 had with other arguments or results. */
const outdated = (s: string) => `
  DROP FUNCTION IF EXISTS ${s}.bus_claim(bigint, integer, integer, integer, integer);
  DROP FUNCTION IF EXISTS ${s}.bus_publish(
    integer, text[], text[], text[], text[], text[], text[], integer[], bigint[], bigint[], text[], text[], bigint[], bytea[]);
  DROP FUNCTION IF EXISTS ${s}.bus_settle(
    bigint, integer, integer[], bigint[], integer[], text[], bigint[], text[], text[], text[], text[], bigint[], bigint)`

/** The broker's tables and functions, these always in their newest form. Append, never edit. */
export const brokerMigrations: PostgresMigrations = {
  component: 'broker',
  migrations: [
    (schema) => [tables, basics, ledgerFunction].map((part) => part(schema)).join(';'),
    (schema) =>
      [
        outdated,
        leaseTable,
        chainFunction,
        leaseFunctions,
        endFunctions,
        publishFunctions,
        claimFunctions,
        settleFunctions,
      ]
        .map((part) => part(schema))
        .join(';'),
    (schema) =>
      [
        ledgerFunction,
        leaseFunctions,
        endFunctions,
        publishFunctions,
        claimFunctions,
        settleFunctions,
        ackFunction,
      ]
        .map((part) => part(schema))
        .join(';'),
    settleFunctions,
    endFunctions,
  ],
}
