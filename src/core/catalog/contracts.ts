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
    meaning: 'At least one contract has findings of severity error, so nothing was started with it.',
    fix: 'Run treaty check and mend what it lists.',
  },
  SCHEMA_MISMATCH: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A message does not satisfy the schema that its contract gives; each finding names the place.',
    fix: 'Correct the message at the pointers of the findings, or change the contract.',
  },
} as const satisfies Record<string, CatalogEntry>
