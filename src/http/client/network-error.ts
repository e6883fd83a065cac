import { type CallErrorKind, errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { invalidOption } from '../resilience/policy.ts'

/** Codes of OpenSSL and of Node's own checks: the encrypted connection does not fit. */
const tlsCode =
  /^(?:ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO|ERR_OSSL|CRL_)/

interface Shape {
  readonly code: 'HTTP_NETWORK' | 'HTTP_TLS' | 'HTTP_TIMEOUT' | 'HTTP_UNREADABLE'
  readonly kind: CallErrorKind
  readonly what: string
}

function shapeOf(reason: string): Shape {
  if (tlsCode.test(reason)) {
    return { code: 'HTTP_TLS', kind: 'network', what: 'the encrypted connection was refused' }
  }
  if (reason === 'UND_ERR_CONNECT_TIMEOUT' || reason === 'ETIMEDOUT') {
    return { code: 'HTTP_TIMEOUT', kind: 'timeout', what: 'the connection was not made in time' }
  }
  if (reason === 'UND_ERR_HEADERS_OVERFLOW' || reason === 'HPE_HEADER_OVERFLOW') {
    return {
      code: 'HTTP_UNREADABLE',
      kind: 'parse',
      what: 'the answer has more headers than allowed',
    }
  }
  if (reason.startsWith('HPE_')) {
    return { code: 'HTTP_NETWORK', kind: 'network', what: 'the answer is no HTTP' }
  }
  return { code: 'HTTP_NETWORK', kind: 'network', what: 'the connection failed' }
}

/** The code of a system error; of several tried addresses the first one's. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'UNKNOWN'
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown }
  if (Array.isArray(errors) && errors.length > 0 && code === undefined) return reasonOf(errors[0])
  if (typeof code === 'string' && code !== 'UND_ERR_SOCKET') return code
  const inner = cause === undefined ? undefined : reasonOf(cause)
  if (inner !== undefined && inner !== 'UNKNOWN') return inner
  return typeof code === 'string' ? code : 'UNKNOWN'
}

/** What broke below HTTP, as an error of the call. */
export function networkError(error: unknown, where: string): TreatyError {
  if (isTreatyError(error)) return error
  const reason = reasonOf(error)
  if (reason === 'UND_ERR_INVALID_ARG') {
    return invalidOption(`${where}: ${errorMessage(error)}`, 'Correct the call.')
  }
  const { code, kind, what } = shapeOf(reason)
  return new TreatyError(code, `${where}: ${what} (${reason})`, {
    kind,
    details: { reason, text: errorMessage(error).slice(0, 200) },
    cause: error,
  })
}

/** The error of an address that may not be called: EGRESS_DENIED. */
export function egressDenied(where: string, reason: string): TreatyError {
  return new TreatyError('EGRESS_DENIED', `${where} may not be called: ${reason}`, {
    kind: 'egress_denied',
    hint: 'Set egress if this address is meant.',
    details: { reason },
  })
}
