import type { CatalogEntry } from './entry.ts'

/** Codes of contracts, schemas, messages and envelopes. */
export const contractCodes = {
  CONTRACT_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No contract of this id is among those that were loaded.',
    fix: 'Check the id, or point --contracts at the folder that holds the file.',
    example: 'treaty contract show shop.nope',
  },
  CONTRACT_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'At least one contract has findings of severity error, so nothing was started with it.',
    fix: 'Run treaty check and mend what it lists.',
  },
  SCHEMA_MISMATCH: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A message does not satisfy the schema that its contract gives; each finding names the place.',
    fix: 'Correct the message at the pointers of the findings, or change the contract.',
  },
  SCHEMA_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A JSON Schema is not one, contains itself without a reference, or refers to something outside itself.',
    fix: 'Correct the schema; bring what it refers to into the same folder, nothing is fetched.',
  },
  RULE_VIOLATED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A message breaks a cross-field rule of its schema (x-treaty-rules), such as a total that is not the sum of its parts.',
    fix: 'Correct the fields that the finding names.',
  },
  MESSAGE_NOT_OBJECT: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A message is a JSON object; this is null, an array, a string, a number or a boolean.',
    fix: 'Send the envelope with its fields id, type, source, timestamp, correlation_id and data.',
    example: 'echo 7 | treaty validate -',
  },
  MESSAGE_TYPE_MISSING: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A message has no field type, or one that is not a string, so that nothing says which schema is meant.',
    fix: 'Set type to the name of an event of the contract.',
    example: 'echo {} | treaty validate -',
  },
  MESSAGE_TYPE_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The type of a message is not written as event types are: lower-case words joined by dots, such as agent.created.',
    fix: 'Use the name of an event of the contract.',
  },
  MESSAGE_TOO_DEEP: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A message nests more deeply than the limit allows, 128 levels by default.',
    fix: 'Flatten the data, or send the deep part as text.',
  },
  UNKNOWN_DOMAIN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No loaded contract has an event whose name begins with this domain.',
    fix: 'Check the first word of the type, or load the contract that defines the domain.',
  },
  SOURCE_NOT_PERMITTED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The source of a message is none of the producers that the contract permits for this event. An error under the profile strict-ids, else a warning.',
    fix: 'Send it from a permitted producer, or name the source among the producers of the contract.',
  },
  CORRELATION_ID_COMPAT: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The profile seed-compat let a correlation_id pass that is not a UUID, as the events of the domain system may have. A warning.',
    fix: 'Send a UUID as correlation_id.',
  },
  BATCH_SIZE_MISMATCH: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'The batch_size of a batch message is not the number of messages in it.',
    fix: 'Set batch_size to the length of messages.',
  },
  BATCH_TOO_LARGE: {
    exitCode: 3,
    status: 413,
    retryable: false,
    meaning: 'A batch message holds more messages than the limit allows, 1000 by default.',
    fix: 'Split it into several batches.',
  },
  BATCH_NESTED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A batch message holds another batch message, which is not allowed.',
    fix: 'Put the inner messages of both into one batch.',
  },
  BATCH_DUPLICATE_ID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'Two messages of a batch have the same id, or one has the id of the batch itself.',
    fix: 'Give each message an id of its own.',
  },
  UNDECODABLE: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'Bytes are not a message in the expected envelope: not UTF-8, not JSON, no object, too deep, or without a header that the envelope needs.',
    fix: 'Look at the bytes of the dead letter; check that both sides use the same envelope.',
  },
  PACK_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No contract pack of this name is shipped with Treaty.',
    fix: 'Use agent-platform or a2a-v1, or load a folder with --contracts.',
    example: 'treaty validate message.json --pack agent-platfrom',
  },
} as const satisfies Record<string, CatalogEntry>
