import type { CatalogEntry } from './entry.ts'

/** Codes of the bus, its transports and dead letters. */
export const messagingCodes = {
  UNKNOWN_EVENT: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No loaded contract has an event or command of this name.',
    fix: 'Check the name against treaty contract show, or load the contract that defines it.',
    example: "await bus.publish('order.plcaed', data)",
  },
  BUS_CLOSED: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning: 'The bus was closed, or is closing, and takes no more work.',
    fix: 'Open a new bus; publish before calling close.',
  },
  CONSUMER_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No loaded contract has a consumer of this name.',
    fix: 'Add the consumer to the contract, or correct the name.',
    example: 'treaty consume biling',
  },
  EVENT_AMBIGUOUS: {
    exitCode: 2,
    status: 409,
    retryable: false,
    meaning:
      'Two loaded contracts define a message type of the same name, so its schema is not certain.',
    fix: 'Load one of the two, or rename the message type in one of them.',
  },
  EVENT_NOT_LISTED: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'A handler was given for an event that the contract does not list for this consumer, so it would never run.',
    fix: 'List the event in the consumer entry of the contract, or remove the handler.',
  },
  EVENT_RETIRED: {
    exitCode: 5,
    status: 410,
    retryable: false,
    meaning:
      'The event is deprecated and its sunset date has passed, so it may not be published any more.',
    fix: 'Publish its successor, which the contract names under deprecated.use.',
  },
  HANDLER_MISSING: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning: 'The contract lists an event for this consumer, and no handler was given for it.',
    fix: "Give a handler for each listed event, or one for '*'.",
  },
  HANDLER_FAILED: {
    exitCode: 3,
    status: 500,
    retryable: true,
    meaning: 'A handler threw, or asked for another attempt, and its attempts are spent.',
    fix: 'Read message and stack of the dead letter, mend the handler, and replay.',
    example: 'treaty dead replay ID',
  },
  HANDLER_ABORTED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The handler was still running when its consumer was stopped; its message is released, and no attempt is counted.',
    fix: 'Listen to context.signal in long handlers, or allow more drain time.',
  },
  REJECTED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A handler said that this message can never be handled.',
    fix: 'Read the reason in the dead letter, and discard it or replay it once the cause is gone.',
    example: "return context.dead('customer was deleted')",
  },
  KEY_CONFLICT: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'The key option differs from the value at the key path of the contract; the contract wins, so the call is refused.',
    fix: 'Leave the key option out.',
  },
  MESSAGE_TOO_LARGE: {
    exitCode: 3,
    status: 413,
    retryable: false,
    meaning: 'The message on the wire has more bytes than are allowed (1 MiB unless configured).',
    fix: 'Store the large part elsewhere and send a reference, or raise messageBytesMax.',
  },
  DATA_UNENCODABLE: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The data of a message cannot be written as JSON that a consumer would read: it holds a BigInt, a circle, a getter or toJSON that throws, or nests more than 128 levels deep.',
    fix: 'Give plain JSON values; write large integers as text, and flatten what nests deeply.',
    example: "bus.publish('order.placed', { orderId: 10n })",
  },
  OPTION_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'An option has a value outside of its range.',
    fix: 'Give a value in the range that the message names.',
  },
  SOURCE_NOT_PERMITTED: {
    exitCode: 5,
    status: 403,
    retryable: false,
    meaning:
      'The service is not among the producers that the contract permits for this message type.',
    fix: 'Publish as a permitted producer, or add the service to the contract.',
  },
  SERVICE_REQUIRED: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The contract names several producers for this message type, and none was chosen.',
    fix: 'Give the service option of openBus, or --service on the command line.',
    example: 'treaty publish order.placed --service order-service',
  },
  REQUEST_TIMEOUT: {
    exitCode: 6,
    status: 504,
    retryable: true,
    meaning: 'No reply came within the timeout; the command may still have been handled.',
    fix: 'Check that the handler runs, or allow more time; make the command idempotent before asking again.',
  },
  COMMAND_FAILED: {
    exitCode: 5,
    status: 422,
    retryable: false,
    meaning: 'The handler of a command answered with an error.',
    fix: 'Branch on details.error, which is one of the errors that the contract names, or HANDLER_FAILED.',
  },
  TRANSPORT_UNKNOWN: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The URL has a scheme for which there is no transport.',
    fix: 'Use memory:, sqlite:FILE, postgres://…, kafka://…, nats://…, amqp://… or redis://….',
    example: 'treaty consume billing --transport foo://localhost',
  },
  TRANSPORT_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The broker refused or lost an operation for a reason that it did not name.',
    fix: 'Look at the cause, and try again.',
  },
  TOPOLOGY_DRIFT: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'What is on the broker is not what the contracts need, in a way that would break a promise.',
    fix: "Open the bus with topology 'create' once, or mend what the findings name.",
  },
  TOPOLOGY_MISSING: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'A channel or group that the contracts need is not on the broker.',
    fix: "Open the bus with topology 'create' once.",
  },
  TOPOLOGY_IN_USE: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'A channel was to be taken away, and a group still reads it.',
    fix: 'Remove the groups that read it first, or keep the channel.',
  },
  OUTBOX_NO_TRANSACTION: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning:
      'The outbox was given a handle that is in no transaction, so a message could be sent although the work it tells of was rolled back.',
    fix: 'Begin a transaction first, and hand over the very connection that it is on: a client, never a pool.',
    example: "await client.query('BEGIN'); await bus.outbox(client).publish('order.placed', data)",
  },
  OUTBOX_NOT_CONFIGURED: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning:
      'The outbox was given a handle on a database of which the bus was not told that an outbox is there.',
    fix: 'Open the bus with outbox: { url }, the URL of the database that the handle belongs to.',
    example:
      "await openBus({ contracts, transport, outbox: { url: 'postgres://localhost/shop' } })",
  },
  OUTBOX_PARKED: {
    exitCode: 3,
    status: 503,
    retryable: false,
    meaning:
      'The broker refused a message of the outbox so often that the relay has put it aside; other keys go on.',
    fix: 'Read the failure with treaty outbox parked, mend its cause, then treaty outbox retry or discard.',
    example: 'treaty outbox parked',
  },
  OUTCOMES_MISMATCH: {
    exitCode: 3,
    status: 500,
    retryable: true,
    meaning:
      'A handler of batches gave a list of outcomes that is not as long as the list of its messages, so it is not certain which is whose.',
    fix: 'Give one outcome for all of the batch, or one for each message in its order.',
    example: 'return messages.map(() => undefined)',
  },
  OUTBOX_ROW_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'Nothing is parked in the outbox under this id: it was sent, retried or discarded.',
    fix: 'Run treaty outbox parked for the ids that are.',
    example: 'treaty outbox retry 17',
  },
  TRANSPORT_NOT_CONNECTED: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning: 'A transport was used before connect had finished.',
    fix: 'Await connect, or let openBus do it.',
  },
  GROUP_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'The broker has no consumer group of this name.',
    fix: "Ensure the topology first: open the bus with topology 'create', with the contract that names the consumer.",
  },
  CHANNEL_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning:
      'The broker has no channel of this address, so a replayed message would reach nobody; the dead letter is kept.',
    fix: 'Start a process whose contract names the channel, then replay again.',
  },
  LEASES_LOST: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'This process gave no sign of life for longer than its lease (stopped, or its event loop blocked), so its deliveries were handed to others. What it still settles has no effect.',
    fix: 'Keep handlers from blocking the event loop, or raise leaseMs.',
  },
  EFFECT_INVALID: {
    exitCode: 1,
    status: 500,
    retryable: false,
    meaning:
      'An effect given to context.commit was asynchronous, or ended the transaction that it runs in.',
    fix: 'Make the effect synchronous, and leave BEGIN, COMMIT and ROLLBACK to Treaty.',
    example: "context.commit((tx) => tx.exec('COMMIT'))",
  },
  CURSOR_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The cursor of a page is not one that was given out.',
    fix: 'Give back next of the page before, unchanged.',
  },
  EXPIRED: {
    exitCode: 3,
    status: 410,
    retryable: false,
    meaning: 'The time to live of a message passed before it was handled.',
    fix: 'Replay the dead letter if it is still of use: a replay has no time to live. If it happens often, add consumers or raise the ttl.',
  },
  CRASH_LOOP: {
    exitCode: 3,
    status: 500,
    retryable: false,
    meaning:
      'A message was handed out as often as its group allows and never settled: very likely it ends the process that handles it.',
    fix: 'Read the dead letter, mend the handler, then replay it.',
  },
  TOPOLOGY_ORDERING_DIFFERS: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'A channel on the broker keeps another order than the contract says.',
    fix: 'Start every process with the same version of the contract. The stricter order stays.',
  },
  TOPOLOGY_RETENTION_DIFFERS: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'A channel on the broker keeps its messages for another time than the contract says.',
    fix: 'Start every process with the same version of the contract. The longer time stays.',
  },
  TOPOLOGY_POLICY_DIFFERS: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'A consumer group on the broker treats failures in another way than the contract says.',
    fix: 'Start every process with the same version of the contract. The latest that creates its topology wins.',
  },
  TOPOLOGY_TYPES_DIFFER: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'A consumer group on the broker gets other message types than the contract lists.',
    fix: "Open the bus with topology 'create' once, which adds types and never takes any away.",
  },
} as const satisfies Record<string, CatalogEntry>
