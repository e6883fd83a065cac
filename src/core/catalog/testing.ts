import type { CatalogEntry } from './entry.ts'

/** Codes of the test kit. */
export const testingCodes = {
  FAKE_IMPOSSIBLE: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'The test kit found no value that satisfies a schema: it may have none, or be too intricate to meet by search.',
    fix: 'Give the event an example, pass the field as an override, or simplify the schema at the place that is named.',
    example: "fake('order.placed') where a pattern and maxLength contradict each other",
  },
  NOT_SETTLED: {
    exitCode: 3,
    status: 500,
    retryable: true,
    meaning:
      'A test bus did not come to rest: a handler does not return, or messages keep causing new ones.',
    fix: 'Look at the messages and consumers that are named; raise the bound where the work is really that long.',
    example: 'await bus.settled() while a handler awaits a promise that nobody resolves',
  },
} as const satisfies Record<string, CatalogEntry>
