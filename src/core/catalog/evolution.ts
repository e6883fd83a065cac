import type { CatalogEntry } from './entry.ts'

/** Codes of changes to contracts: compatibility, consumers, upcasts, gate, deployment. */
export const evolutionCodes = {
  PAIR_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A line of treaty compat --batch is not a JSON object with the schemas a and b.',
    fix: 'Write each line as { "id": …, "a": SCHEMA, "b": SCHEMA }.',
    example: `echo '{"id":1,"a":{}}' | treaty compat --batch - --json`,
  },
  BREAKING_CHANGE: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'A change makes messages invalid that one side sends and the other side reads; the witness is one of them.',
    fix: 'Add a field beside the old one and deprecate the old, or raise the major version with an upcast.',
    example: 'treaty compat number.json integer.json',
  },
  VERDICT_UNKNOWN: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'Whether a change breaks anything could be neither proved nor refuted: the finding names keyword and reason. It never counts as compatible.',
    fix: 'Simplify the schema at the place that the finding names, or waive it in gate.waivers with a reason and an expiry.',
  },
} as const satisfies Record<string, CatalogEntry>
