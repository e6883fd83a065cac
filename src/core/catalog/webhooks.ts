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
} as const satisfies Record<string, CatalogEntry>
