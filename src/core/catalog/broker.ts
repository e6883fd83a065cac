import type { CatalogEntry } from './entry.ts'

/** Codes of brokers on the network. */
export const brokerCodes = {
  BROKER_UNREACHABLE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The broker cannot be reached: no such host, nothing listens there, or the connection was lost and has not come back.',
    fix: 'Check host and port of the URL, and that the broker runs. Treaty goes on trying to connect by itself.',
    example: 'treaty consume billing --transport kafka://localhost:1',
  },
  BROKER_ACCESS_DENIED: {
    exitCode: 5,
    status: 503,
    retryable: false,
    meaning: 'The broker refused the credentials, or they do not permit what was tried.',
    fix: 'Check user, password or token (secret:// references are resolved first), and the permissions that the message names.',
  },
  BROKER_TLS_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning:
      'The encrypted connection could not be made: the broker speaks no TLS there, only speaks TLS, or its certificate is not trusted.',
    fix: 'Use the scheme that fits the port (kafka+ssl, tls, amqps, rediss), and name the authority with ?ca=FILE.',
  },
  BROKER_TOO_OLD: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning: 'The broker is older than the oldest that can keep the promises.',
    fix: 'Upgrade the broker to the version that the message names, or use another transport.',
  },
  BROKER_UNSAFE: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'A setting of the broker would lose messages that were acknowledged: no persistence, or an eviction policy.',
    fix: 'Change the setting that the message names on the broker, then start again.',
  },
  BROKER_FULL: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The broker takes no messages: its disk or memory is full, or an alarm blocks publishers.',
    fix: 'Free space on the broker or raise its limit. Publishing is tried again by the caller; nothing that was acknowledged is lost.',
  },
  BROKER_DEGRADED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'Too few servers of the broker hold a copy that is up to date, so it takes no messages rather than keep them in one place only.',
    fix: 'Start the servers that are missing. A topic that wants more copies than there are servers never takes a message: lower what it wants (on Kafka min.insync.replicas).',
  },
  BROKER_READ_ONLY: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The server that answered is a replica that takes no writes.',
    fix: 'Use the address of the primary.',
  },
  PUBLISH_UNCONFIRMED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The connection ended before the broker confirmed, so the message may or may not be there.',
    fix: 'Publish again with the same id: consumers recognise the repeat by it.',
  },
  BROKER_CANNOT_LOOK_BACK: {
    exitCode: 5,
    status: 501,
    retryable: false,
    meaning:
      'The broker keeps nothing of what was handled, so that earlier messages and their traces cannot be shown.',
    fix: 'Look at what comes from now on (treaty tail without --from), or at the table of docs/guides/brokers.md for brokers that can.',
  },
  EFFECTS_UNSUPPORTED: {
    exitCode: 5,
    status: 501,
    retryable: false,
    meaning:
      'A handler gave an effect to context.commit, and the broker has no database in which the effect and the acknowledgement could be one transaction.',
    fix: 'Write the effect together with an inbox row in your own database, or make it idempotent by the message id.',
  },
  BROKER_URL_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The URL of a broker has a part that cannot be read, or an option that is not known.',
    fix: 'Write it as the message shows; docs/reference/transports.md has every option.',
  },
  SCHEMA_REGISTRY_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The schema registry could not be reached, or answered what its protocol does not have.',
    fix: 'Check its address and credentials. Deliveries wait for it; publishing may be tried again.',
  },
  CLOCK_SKEW: {
    exitCode: 3,
    status: 500,
    retryable: false,
    meaning:
      'The clock of the broker and that of this host differ by more than two seconds. Time to live, delays, retries and the age of messages are judged by both, so that messages expire too early or wait too long.',
    fix: 'Let both hosts set their clocks by the same time servers (chrony, systemd-timesyncd), then run treaty doctor again.',
  },
  SCHEMA_REFUSED: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'The schema registry does not take the schema of a message type: it breaks an earlier one, or may not be registered from here.',
    fix: 'Mend the incompatibility, or register the schema by hand and open the bus with `register: false`.',
  },
  SCHEMA_ID_UNKNOWN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning:
      'A message in the Confluent wire format names a schema that the registry does not know.',
    fix: 'Look up which registry its producer uses, then replay the dead letter.',
  },
} as const satisfies Record<string, CatalogEntry>
