/**
 * Every size, depth and rate has a bound. These are the defaults; each is reachable as an option
 * where it applies.
 */
export const limits = {
  /** One message on the wire, in bytes. */
  messageBytesMax: 1_048_576,
  /** Nesting of one message or schema, in levels. */
  depthMax: 128,
  /** One contract or schema file, in bytes. */
  fileBytesMax: 10_485_760,
  /** Expanded YAML aliases in one file. */
  yamlAliasesMax: 100,
  /** Inner messages of one batch message. */
  batchMessagesMax: 1000,
  /** Characters of an entity id in a message. */
  entityIdCharactersMax: 128,
  /** Findings that one check reports; the rest are counted. */
  findingsMax: 1000,
  /** Nodes of one schema, its references included. */
  schemaNodesMax: 100_000,
} as const
