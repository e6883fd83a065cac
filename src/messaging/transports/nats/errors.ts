import { errorMessage, isTreatyError, TreatyError } from '../../../core/errors.ts'

/** What JetStream answers instead of a result. */
export interface ApiError {
  readonly code: number
  readonly err_code?: number
  readonly description?: string
}

/** Codes of JetStream (`errors.json` of nats-server) that something depends on. */
export const jsCode = {
  wrongLastSequence: 10_071,
  wrongLastSequenceConstant: 10_164,
  streamNotFound: 10_059,
  streamNameInUse: 10_058,
  subjectsOverlap: 10_065,
  consumerNotFound: 10_014,
  noMessageFound: 10_037,
  sequenceNotFound: 10_043,
  messageNotFound: 10_057,
} as const

const notEnabled = [10_039, 10_076]
/** No room in the store, for the account (bytes, streams, consumers), or below the limits of a stream. */
const noRoom = [10_002, 10_023, 10_026, 10_027, 10_028, 10_047, 10_077, 10_122]

/** An answer of JetStream that is an error. */
export class JetStreamError extends Error {
  readonly apiError: ApiError
  constructor(apiError: ApiError, what: string) {
    super(`${what}: ${apiError.description ?? 'refused'} (${apiError.err_code ?? apiError.code})`)
    this.name = 'JetStreamError'
    this.apiError = apiError
  }
  get errCode(): number {
    return this.apiError.err_code ?? 0
  }
}

export function isApiError(error: unknown, ...codes: number[]): boolean {
  return error instanceof JetStreamError && codes.includes(error.errCode)
}

/** A compare-and-set met another version than it expected. */
export function isConflict(error: unknown): boolean {
  return isApiError(error, jsCode.wrongLastSequence, jsCode.wrongLastSequenceConstant)
}

/** Whatever went wrong, as an error that says what to do. `what` completes “NATS …”. */
export function asTreatyError(error: unknown, what: string): TreatyError {
  if (isTreatyError(error)) return error
  if (error instanceof JetStreamError) return ofApi(error)
  const message = errorMessage(error)
  const { name = '', code } = error as { name?: string; code?: unknown }
  if (isTls(message, String(code))) return tlsFailed(message, error)
  if (/authorization|authentication|permissions? violation/i.test(`${name} ${message}`)) {
    return new TreatyError('BROKER_ACCESS_DENIED', `NATS refused: ${firstLine(message)}`, {
      hint: 'Check user, password, token, nkey or creds of the URL, and the permissions of that user.',
      cause: error,
    })
  }
  if (!/timeout|connection|respond|request|drain/i.test(name) && typeof code !== 'string') {
    return new TreatyError('TRANSPORT_FAILED', `NATS ${what}: ${firstLine(message)}`, {
      cause: error,
    })
  }
  return new TreatyError('BROKER_UNREACHABLE', `NATS ${what}: ${firstLine(message)}`, {
    hint: /timeout/i.test(message)
      ? 'Check that a nats-server answers there; one that begins with TLS needs tls://HOST?tls_first=true, and one that asks for a certificate the right ?cert=FILE&key=FILE.'
      : 'Check host and port of the URL, and that nats-server runs there.',
    cause: error,
  })
}

function ofApi(error: JetStreamError): TreatyError {
  if (noRoom.includes(error.errCode)) {
    return new TreatyError('BROKER_FULL', `NATS takes no more: ${error.message}`, {
      hint: 'Free space in the store directory of nats-server, or raise max_file_store or the limits of the account.',
      cause: error,
    })
  }
  if (notEnabled.includes(error.errCode)) return noJetStream(error)
  return new TreatyError('TRANSPORT_FAILED', `NATS refused: ${error.message}`, { cause: error })
}

export function noJetStream(cause: unknown): TreatyError {
  return new TreatyError(
    'BROKER_UNSAFE',
    'JetStream is not enabled on this NATS server or account, so that it would keep no message',
    { hint: 'Start nats-server with -js, or add jetstream {} to its configuration.', cause },
  )
}

function isTls(message: string, code: string): boolean {
  return (
    /^(ERR_(SSL|TLS|OSSL)|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|EPROTO)/.test(code) ||
    /certificate|\btls\b|\bssl\b|handshake/i.test(message)
  )
}

function tlsFailed(message: string, cause: unknown): TreatyError {
  return new TreatyError('BROKER_TLS_FAILED', `no TLS with NATS: ${firstLine(message)}`, {
    hint: 'Use nats:// for a server without TLS, else tls:// with ?ca=FILE that names its authority.',
    cause,
  })
}

function firstLine(message: string): string {
  return message.split('\n')[0]?.slice(0, 300) ?? ''
}

export function channelMissing(address: string, letter?: string): TreatyError {
  return new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
    hint: 'Start a process whose contract names the channel, then try again.',
    details: { address, ...(letter === undefined ? {} : { deadLetter: letter }) },
  })
}
