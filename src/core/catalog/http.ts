import type { CatalogEntry } from './entry.ts'

/** Codes of the outbound client and of the policies around a call. */
export const httpCodes = {
  HTTP_OPTIONS_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'A setting of a client, a policy or a single call is out of range, or contradicts another.',
    fix: 'Correct the setting that the message names.',
    example: 'createRateLimiter({ ratePerSecond: 0, burst: 1 }) // a rate of 0 would admit nothing',
  },
  HTTP_STATUS: {
    exitCode: 6,
    status: 502,
    retryable: false,
    meaning:
      'The other side answered with a status of 400 or above. `status`, headers and a short excerpt of the body are in the error.',
    fix: 'Read status and excerpt; `retryable` says whether the same call may succeed later.',
  },
  HTTP_NETWORK: {
    exitCode: 6,
    status: 502,
    retryable: true,
    meaning: 'The connection could not be made, or broke before the whole answer had arrived.',
    fix: 'Check address, name resolution and the other side; `details.reason` has the code of the system.',
  },
  HTTP_TLS: {
    exitCode: 6,
    status: 502,
    retryable: false,
    meaning:
      'The encrypted connection was refused: certificate, host name or protocol do not fit. It is never tried again, and never without the check.',
    fix: 'Give the authority of the other side in `tls.ca`, or have its certificate corrected.',
  },
  HTTP_TIMEOUT: {
    exitCode: 6,
    status: 504,
    retryable: true,
    meaning:
      'One attempt took longer than `timeout.attemptMs`; it was abandoned and its socket closed.',
    fix: 'Raise `timeout.attemptMs`, or find out why the other side is slow.',
  },
  HTTP_DEADLINE: {
    exitCode: 6,
    status: 504,
    retryable: true,
    meaning: 'All attempts and waits together reached `timeout.totalMs`.',
    fix: 'Raise `timeout.totalMs`, or lower attempts and waits.',
  },
  HTTP_ABORTED: {
    exitCode: 1,
    status: 499,
    retryable: false,
    meaning: 'The caller aborted the call.',
    fix: 'Nothing: the call ended because it was told to.',
  },
  HTTP_UNREADABLE: {
    exitCode: 6,
    status: 502,
    retryable: false,
    meaning:
      'The answer arrived but cannot be read: it is not what its content type says, its encoding is broken, or it is larger than the limits allow.',
    fix: 'Check what the other side sends; raise `limits` where large answers are meant.',
  },
  HTTP_SCHEMA_MISMATCH: {
    exitCode: 3,
    status: 502,
    retryable: false,
    meaning:
      'The body of the answer, or of the request, breaks the schema; the findings say where.',
    fix: 'Compare body and contract, and correct the one that is wrong.',
  },
  HTTP_REDIRECT_REFUSED: {
    exitCode: 6,
    status: 502,
    retryable: false,
    meaning:
      'The answer redirects somewhere that the redirect policy forbids, or redirects too often.',
    fix: 'Call the final address directly, or change `redirect`.',
  },
  BREAKER_OPEN: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The circuit breaker of the dependency is open after too many failures: the call was not made.',
    fix: 'Wait for `retryAfterMs`, or mend the dependency and reset the breaker.',
  },
  BULKHEAD_FULL: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'As many calls as allowed are running and waiting: the call was not made.',
    fix: 'Call less at once, or raise `bulkhead.concurrent` and `bulkhead.queue`.',
  },
  RATE_LIMITED: {
    exitCode: 6,
    status: 429,
    retryable: true,
    meaning: 'Our own rate limit would have made the call wait too long: it was not made.',
    fix: 'Call less often, or raise `rateLimit.maxWaitMs`, `maxQueue` or the rate itself.',
  },
  RETRY_AFTER_EXCEEDS_DEADLINE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The other side asked to wait longer than the deadline or `retry.maxRetryAfterMs` leaves; calling earlier would only be refused again.',
    fix: 'Try again after `retryAfterMs`, or raise the deadline.',
  },
  EGRESS_DENIED: {
    exitCode: 5,
    status: 403,
    retryable: false,
    meaning:
      'The address may not be called: it is not public, not https, carries credentials, or uses a port that is not allowed. Nothing was sent.',
    fix: 'Set `egress.privateNetworks`, `egress.https` or `egress.ports` if the address is meant.',
    example: "createClient({ baseUrl: 'http://169.254.169.254/' })",
  },
  FALLBACK_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The call failed, and so did its fallback. The cause is the failure of the call.',
    fix: 'Mend the dependency first; the fallback is in `details.fallback`.',
  },
  CALL_NOT_KEPT: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning:
      'A call that failed cannot be kept for later: the other side may have done it already and it may not be done twice, or its body can be read only once.',
    fix: 'Give the call an `idempotencyKey` and a body that is text or plain data, or call again yourself.',
  },
  CALL_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No call of this id was put aside by the queue of the connector.',
    fix: 'List them with `treaty connector queue NAME`.',
  },
  CREDENTIAL_REFUSED: {
    exitCode: 5,
    status: 502,
    retryable: false,
    meaning:
      'The authorization server refuses the credential for good (invalid_grant): somebody has to sign in or register anew. No more calls are made with it.',
    fix: 'Renew the credential; it works again as soon as its secret or refresh token is another.',
  },
  CREDENTIAL_UNAVAILABLE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'A token could not be fetched; further calls fail at once until the cooldown is over.',
    fix: 'Check the token endpoint; the cause says what it answered.',
  },
  PAGINATION_LOOP: {
    exitCode: 6,
    status: 502,
    retryable: false,
    meaning: 'A page leads to one that was read before, or there are more pages than allowed.',
    fix: 'Check the pagination settings against the other side, or raise `maxPages`.',
  },
  PAGINATION_UNKNOWN: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'All pages of an operation were asked for, and nobody has said how it hands them out.',
    fix: 'Set `paginate` for the operation under `operations` of the connector.',
    example: 'treaty connector call shop getOrder --all',
  },
  CONNECTOR_INVALID: {
    exitCode: 3,
    status: 400,
    retryable: false,
    meaning: 'A connector or the OpenAPI document that is its contract has mistakes.',
    fix: 'Correct the places that the findings name.',
  },
  CONNECTOR_UNKNOWN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'The configuration has no connector of this name.',
    fix: 'Add it to `connectors` in the configuration, or list them with `treaty connector list`.',
    example: 'treaty connector status nobody',
  },
  OPERATION_UNKNOWN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'The contract of the connector has no operation of this name.',
    fix: 'List the operations with `treaty connector list`.',
  },
  RECORDING_MISSING: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'A replayed call is not in the recording; nothing was sent.',
    fix: 'Record it once against the real neighbour.',
  },
} as const satisfies Record<string, CatalogEntry>
