import type { CatalogEntry } from './entry.ts'

/** Codes of what is exported to other formats and imported from them. */
export const exchangeCodes = {
  APPLICATION_UNKNOWN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'A contract names no producer, consumer or command handler of this name.',
    fix: 'Take one of the names that treaty contract show prints.',
    example: 'treaty export asyncapi --service biling',
  },
  ASYNCAPI_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A document is no AsyncAPI 2.x or 3.x, or a part of it that an import needs is missing or of the wrong kind.',
    fix: 'Mend the place that the finding names, or check the document with a validator of AsyncAPI.',
    example: 'treaty import asyncapi openapi.yaml',
  },
  CONFLUENT_DUMP_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'What is to be imported is not what a Confluent-compatible registry answers.',
    fix: 'Save what GET /schemas answers to a file, or name the URL of the registry itself.',
    example: 'treaty import confluent http://127.0.0.1:4400/confluent',
  },
  IMPORT_UNREACHABLE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The registry to import from does not answer, or answers with an error.',
    fix: 'Check the URL, and that the registry runs there.',
    example: 'treaty import confluent http://127.0.0.1:9',
  },
  IMPORT_REMOTE: {
    exitCode: 4,
    status: 403,
    retryable: false,
    meaning:
      'An import names a place on the network where only files are read, or a registry that is not on this machine.',
    fix: 'Save the document to a file and import that.',
    example: 'treaty import asyncapi https://example.com/asyncapi.yaml',
  },
  IMPORT_NOT_CARRIED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'What an imported document says has no place in a contract, or had to be replaced; the rest was imported.',
    fix: 'Read the finding, and write by hand what matters of it.',
  },
  IMPORT_FORMAT_UNSUPPORTED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A schema to import is in a format that is no JSON Schema, such as Avro or Protobuf; its message was left out.',
    fix: 'Describe the message in JSON Schema, and import that.',
  },
} as const satisfies Record<string, CatalogEntry>
