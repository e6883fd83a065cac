import { type ErrorCode, errorMessage, isTreatyError, TreatyError } from '../../../core/errors.ts'

/** The facts of an error of the client, wherever in its tree they are. */
interface Facts {
  /** Names of Kafka's own error codes. */
  readonly ids: ReadonlySet<string>
  /** Codes of Node and OpenSSL. */
  readonly codes: ReadonlySet<string>
  readonly texts: readonly string[]
}

/** Names of the error codes that the broker answered with: `NOT_COORDINATOR` and the like. */
export function brokerErrorIds(error: unknown): ReadonlySet<string> {
  return factsOf(error).ids
}

function factsOf(error: unknown): Facts {
  const ids = new Set<string>()
  const codes = new Set<string>()
  const texts: string[] = []
  const seen = new Set<unknown>()
  const look = (each: unknown) => {
    if (typeof each !== 'object' || each === null || seen.has(each)) return
    seen.add(each)
    const { apiId, code, message, cause, errors } = each as Record<string, unknown>
    if (typeof apiId === 'string') ids.add(apiId)
    if (typeof code === 'string') codes.add(code)
    if (typeof message === 'string') texts.push(message)
    look(cause)
    if (Array.isArray(errors)) for (const one of errors) look(one)
  }
  look(error)
  return { ids, codes, texts }
}

/** Passes by itself: a server that starts, a leader or coordinator that moves, a line that was cut. */
const passing = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_CONTROLLER',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'BROKER_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'CONCURRENT_TRANSACTIONS',
  'UNSTABLE_OFFSET_COMMIT',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
])
const tlsCodes =
  /^(ERR_SSL|ERR_TLS|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|HOSTNAME_MISMATCH)/
const tlsTexts = /Broker requires TLS|TLS handshake failed|before secure TLS connection/i
const denied =
  /^(SASL_AUTHENTICATION_FAILED|UNSUPPORTED_SASL_MECHANISM|ILLEGAL_SASL_STATE|.*_AUTHORIZATION_FAILED)$/

/** True where the same request may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  const { ids, codes } = factsOf(error)
  if (isTreatyError(error)) return error.code === 'BROKER_UNREACHABLE'
  if (isRefusal(error)) return false
  if (ids.size > 0) return [...ids].every((id) => passing.has(id))
  return codes.has('PLT_KFK_NETWORK')
}

/** It is in the log of the leader and may stay there, though not enough others have it. */
export function isPerhapsStored(error: unknown): boolean {
  const { ids } = factsOf(error)
  return ids.has('NOT_ENOUGH_REPLICAS_AFTER_APPEND') || ids.has('REQUEST_TIMED_OUT')
}

/** Trying again does not help: credentials, or TLS where there is none. */
function isRefusal(error: unknown): boolean {
  const code = codeOf(factsOf(error))
  return code === 'BROKER_ACCESS_DENIED' || code === 'BROKER_TLS_FAILED'
}

function codeOf({ ids, codes, texts }: Facts): ErrorCode | undefined {
  const has = (...wanted: string[]) => wanted.some((each) => ids.has(each))
  if (codes.has('PLT_KFK_AUTHENTICATION') || [...ids].some((id) => denied.test(id))) {
    return 'BROKER_ACCESS_DENIED'
  }
  if ([...codes].some((code) => tlsCodes.test(code)) || texts.some((text) => tlsTexts.test(text))) {
    return 'BROKER_TLS_FAILED'
  }
  if (has('MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE')) return 'MESSAGE_TOO_LARGE'
  if (has('UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION', 'UNKNOWN_TOPIC_ID')) {
    return 'CHANNEL_NOT_FOUND'
  }
  if (has('KAFKA_STORAGE_ERROR', 'LOG_DIR_NOT_FOUND')) return 'BROKER_FULL'
  if (has('NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND')) return 'BROKER_DEGRADED'
  if (has('UNSUPPORTED_VERSION', 'UNSUPPORTED_FOR_MESSAGE_FORMAT')) return 'BROKER_TOO_OLD'
  if (codes.has('PLT_KFK_UNSUPPORTED_API')) return 'BROKER_TOO_OLD'
  if (codes.has('PLT_KFK_NETWORK') || [...ids].some((id) => passing.has(id))) {
    return 'BROKER_UNREACHABLE'
  }
  return undefined
}

const sentences: Partial<Record<ErrorCode, string>> = {
  BROKER_ACCESS_DENIED: 'refused the credentials, or they do not permit this',
  BROKER_TLS_FAILED: 'could not be reached with this TLS setting',
  BROKER_UNREACHABLE: 'cannot be reached',
  BROKER_FULL: 'cannot write to its disk',
  BROKER_DEGRADED: 'has too few copies in sync to take messages',
  BROKER_TOO_OLD: 'is older than Kafka 3.1',
  MESSAGE_TOO_LARGE: 'refused a message as too large',
  CHANNEL_NOT_FOUND: 'has no such topic',
}

const hints: Partial<Record<ErrorCode, string>> = {
  BROKER_ACCESS_DENIED:
    'Check user, password and mechanism of the URL, and the rights of that user (kafka-acls).',
  BROKER_TLS_FAILED:
    'Use kafka+ssl:// for a listener with TLS and kafka:// for one without; ?ca=FILE names the authority.',
  BROKER_UNREACHABLE:
    'Check host and port of the URL, that the brokers run, and whether the listener wants TLS: kafka+ssl://.',
  BROKER_FULL:
    'Make room in log.dirs, see that they can be written to, and start the broker again: it ends when it cannot write.',
  BROKER_DEGRADED: 'Start the brokers that are missing, or lower min.insync.replicas of the topic.',
  CHANNEL_NOT_FOUND: 'Run treaty topology apply, or make the topic.',
}

/** What the broker means where its own name for it says little. */
const meanings: Readonly<Record<string, string>> = {
  ILLEGAL_SASL_STATE: 'this listener asks for no user and no password',
  SASL_AUTHENTICATION_FAILED: 'the user or the password is wrong',
  UNSUPPORTED_SASL_MECHANISM: 'this listener takes another mechanism',
}

/** An error of the client or the broker, as one of ours. `where` names the cluster without its credentials. */
export function kafkaError(error: unknown, where: string): TreatyError {
  if (isTreatyError(error)) return error
  const facts = factsOf(error)
  const code = codeOf(facts) ?? 'TRANSPORT_FAILED'
  const named = [...facts.ids].map((id) => meanings[id] ?? id)
  const reason = named.join(', ') || firstLine(innermost(error))
  const sentence = sentences[code] ?? 'failed'
  const hint = hints[code]
  return new TreatyError(code, `the Kafka cluster at ${where} ${sentence}: ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { reason },
    cause: error,
  })
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? text).replace(/\.$/, '')
}

function innermost(error: unknown): string {
  const { cause, errors } = (error ?? {}) as { cause?: unknown; errors?: unknown[] }
  if (cause !== undefined) return innermost(cause)
  if (Array.isArray(errors) && errors.length > 0) return innermost(errors.at(-1))
  return errorMessage(error)
}
