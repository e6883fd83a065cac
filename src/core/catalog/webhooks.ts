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
    fix: 'Read the dead letter, mend the mapping, and replay it: it is mapped again.',
  },
  WEBHOOK_ENDPOINT_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No endpoint for outgoing webhooks has this id.',
    fix: 'List the endpoints and use one of their ids.',
    example: 'treaty webhook endpoint list',
  },
  WEBHOOK_ENDPOINT_EXISTS: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'An endpoint with this id is there already.',
    fix: 'Leave the id out, or change the endpoint that is there.',
  },
  WEBHOOK_MESSAGE_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'The message was never sent from this store, or is older than messages are kept.',
    fix: 'Look for its id in the delivery log; send it anew if it is still of use.',
    example: 'treaty webhook attempt list ENDPOINT',
  },
  WEBHOOK_EGRESS_DENIED: {
    exitCode: 5,
    status: 422,
    retryable: false,
    meaning:
      'The URL of an endpoint may not be called: no https, a port that is not allowed, or an address that not everybody can reach.',
    fix: 'Use a public https URL, or allow private networks by the egress option where that is meant.',
  },
  WEBHOOK_FILTER_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'The filter of an endpoint is no condition in CEL: it does not parse, names what there is not, or gives no truth value.',
    fix: 'Correct the expression at the character that the message names.',
    example:
      "treaty webhook endpoint add https://partner.example/hooks --filter 'data.total > 100.0'",
  },
  WEBHOOK_SECRET_UNREADABLE: {
    exitCode: 6,
    status: 500,
    retryable: false,
    meaning:
      'The secret of an endpoint lies encrypted in the store, and the key is missing or another one.',
    fix: 'Give the sealKey with which it was added, or rotate the secret.',
  },
} as const satisfies Record<string, CatalogEntry>
