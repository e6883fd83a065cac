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
  CONSUMER_BROKEN: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'A change takes away what a consumer says it needs; the witness is a message that the changed contract allows and the consumer cannot read.',
    fix: 'Keep what the consumer needs beside the new, move the consumer first, or waive it with the consent of its owner.',
    example: 'treaty check --against HEAD',
  },
  NEEDS_NOT_MET: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A consumer gave a schema of what it needs, and the contract allows a message, the witness, that does not satisfy it.',
    fix: 'Let the event promise it, or let the consumer ask for less.',
    example: 'needs: ./billing-view.schema.json',
  },
  VERSION_TOO_LOW: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'A contract has changed, and its version was not raised as far as the change asks for: patch for the same messages, minor for a proved extension, major for a break.',
    fix: 'Write the version that the finding names.',
  },
  VERDICT_UNKNOWN: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'Whether a change breaks anything could be neither proved nor refuted: the finding names keyword and reason. It never counts as compatible.',
    fix: 'Simplify the schema at the place that the finding names, or waive it in gate.waivers with a reason and an expiry.',
  },
  BASELINE_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning:
      'What contracts are to be compared with is not there: no such git revision and no such folder.',
    fix: 'Name a git revision such as HEAD or origin/main (fetched before), a folder, or the URL of a registry.',
    example: 'treaty check --against no-such-branch',
  },
  BASELINE_UNAVAILABLE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The registry or repository that holds the earlier contracts cannot be read now.',
    fix: 'Check the URL and that treaty serve runs there, or that git works in this folder.',
  },
  UPCAST_INVALID: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'The expression of an upcast is not JSONata.',
    fix: 'Correct it at the position that the finding names.',
    example: `upcast: [{ event: order.placed, from: 1.x, to: 2.x, jsonata: '$merge([$' }]`,
  },
  UPCAST_BREAKS: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A message of an earlier version (an example, or one that its schema allows) fails in an upcast, or does not satisfy the present schema after it; the witness is its data.',
    fix: 'Let the upcast produce what the present schema asks for, for that message too.',
  },
  UPCAST_MISSING: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The major version was raised and no upcast leads from the earlier one, so its messages cannot be read any more.',
    fix: 'Add a step to evolution.upcast, or make sure that no message of the earlier version is kept.',
  },
  UPCAST_FAILED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A message of an earlier major version could not be turned into one of the present: the expression failed, or its result does not satisfy the schema.',
    fix: 'Correct the upcast, deploy, and replay the dead letter.',
  },
  GATE_INCOMPLETE: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A check of the quality gate found that the contract lacks something that must be there before a release.',
    fix: 'Add what the finding names.',
    example: 'treaty gate',
  },
  GATE_UNCHECKED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A check of the quality gate could not run for want of evidence, and what was not checked has not passed.',
    fix: 'Give the evidence: name the earlier version with --against.',
    example: 'treaty gate',
  },
  WAIVER_LAPSED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning: 'A waiver no longer counts: it has expired, or gives no reason, approver or place.',
    fix: 'Mend what it was about, or have it approved anew.',
  },
  DEPLOYMENT_BREAKS: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'A version of a service and one that runs in the environment do not fit: one may send a message, the witness, that the other cannot read.',
    fix: 'Deploy a version of the reader that copes first, or keep what it needs.',
    example: 'treaty can-i-deploy order-service 2.0.0 --to prod',
  },
  DEPLOYMENT_UNKNOWN: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'Whether a version fits what runs in the environment is not known, for want of a record or of a proof. That blocks in production and warns elsewhere.',
    fix: 'Record what runs with its contracts, and register those contracts.',
    example: 'treaty can-i-deploy order-service 2.0.0 --to prod',
  },
} as const satisfies Record<string, CatalogEntry>
