import type { CatalogEntry } from './entry.ts'

/** Codes of webhooks, in and out. */
export const webhookCodes = {
  WEBHOOK_SIGN_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'A request cannot be signed: its id, secret or URL is not one that the scheme takes.',
    fix: 'Give a secret in the form of the scheme, an id without dots and spaces, and the URL where it is signed.',
    example: "sign({ scheme: 'standard-webhooks', secrets: ['whsec_…'], id: 'msg_1', … })",
  },
  WEBHOOK_UNMAPPED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'No event could be made of a verified webhook: the function that chooses or maps it threw. The bytes are kept.',
    fix: 'Read the dead letter, mend the mapping, and have the provider send it again.',
  },
} as const satisfies Record<string, CatalogEntry>
