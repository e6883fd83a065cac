import type { ErrorCode } from '../core/errors.ts'
import { errorMessage, isTreatyError, TreatyError } from '../core/errors.ts'

/** What happened to a statement, which decides whether it may be sent again. */
export type PostgresFate =
  /** The server undid it: it may be sent again. */
  | 'undone'
  /** The connection was lost: whether it took effect is unknown. */
  | 'lost'
  /** Refused for a reason that does not pass by itself. */
  | 'refused'

interface Verdict {
  readonly code: ErrorCode
  readonly problem: string
  readonly hint: string
  readonly fate: PostgresFate
}

const lost: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'has lost the connection',
  hint: 'Look first whether the write took effect, or repeat it where that does no harm.',
  fate: 'lost',
}
/**
 * A session that the server ends with this error has not committed: what is committed is answered first, and where the end comes while a
 * commit waits for a replica, no error is sent.
 */
const ended: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'has ended the session',
  hint: 'Try again once the server is back.',
  fate: 'undone',
}
const unreachable: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'cannot be reached',
  hint: 'Check that the server runs, and host and port of the URL.',
  fate: 'lost',
}
const starting: Verdict = { ...unreachable, problem: 'is starting or stopping' }
const unknownHost: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'has a host that no name server knows',
  hint: 'Correct the host of the URL.',
  fate: 'refused',
}
const busy: Verdict = {
  code: 'STORE_BUSY',
  problem: 'is kept busy by others',
  hint: 'Try again; if it stays so, look in pg_stat_activity for the transaction that blocks.',
  fate: 'undone',
}
const crowded: Verdict = {
  code: 'STORE_BUSY',
  problem: 'has no connection left',
  hint: 'Lower the size of the pools, or raise max_connections of the server.',
  fate: 'undone',
}
const full: Verdict = {
  code: 'STORE_FULL',
  problem: 'cannot grow because its disk is full',
  hint: 'Free space on the volume of the server and try again.',
  fate: 'refused',
}
const corrupt: Verdict = {
  code: 'STORE_CORRUPT',
  problem: 'is damaged',
  hint: 'Restore the database from a backup.',
  fate: 'refused',
}
const failing: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'cannot read or write its own files',
  hint: 'Look in the log of the server, and at its volume.',
  fate: 'refused',
}
const readOnly: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'is read-only, as a replica is',
  hint: 'Name the primary server in the URL (target_session_attrs is not looked at).',
  fate: 'refused',
}
const denied: Verdict = {
  code: 'STORE_ACCESS_DENIED',
  problem: 'refused the user, the password or a right',
  hint: 'Check user and password of the URL, pg_hba.conf, and the rights on the schema.',
  fate: 'refused',
}
const noDatabase: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'has no such database',
  hint: 'Create the database, or correct its name in the URL.',
  fate: 'refused',
}
const noTls: Verdict = {
  code: 'STORE_TLS_FAILED',
  problem: 'and this client do not agree on TLS',
  hint: 'Check sslmode and sslrootcert of the URL, and the certificate of the server.',
  fate: 'refused',
}
const wantsTls: Verdict = {
  code: 'STORE_TLS_FAILED',
  problem: 'takes no such connection without TLS',
  hint: 'Set sslmode=verify-full in the URL, with sslrootcert where the authority is your own; if it is set, pg_hba.conf has no line for the user.',
  fate: 'refused',
}
const offersNoTls: Verdict = {
  code: 'STORE_TLS_FAILED',
  problem: 'offers no TLS, which sslmode in the URL asks for',
  hint: 'Set sslmode=disable in the URL where nobody else is on the network, or ssl = on in the server.',
  fate: 'refused',
}
/** Of a client with TLS there is nothing to tell a server that wants none from one that does not want the client. */
const deniedOverTls: Verdict = {
  ...denied,
  hint: 'Add a line for the user to pg_hba.conf, or set sslmode=disable in the URL if its lines are hostnossl.',
}
const noTables: Verdict = {
  code: 'STORE_OUTDATED',
  problem: 'lacks tables of Treaty',
  hint: 'Run treaty store migrate.',
  fate: 'refused',
}

/** By SQLSTATE, whole or its class (two characters). */
const byState: Readonly<Record<string, Verdict>> = {
  '08': lost,
  '25006': readOnly,
  '28': denied,
  '3D000': noDatabase,
  '3F000': noTables,
  '40001': busy,
  '40P01': busy,
  '42501': denied,
  '42P01': noTables,
  '53100': full,
  '53200': busy,
  '53300': crowded,
  '53400': full,
  '55P03': busy,
  '57014': busy,
  '57P01': ended,
  '57P02': lost,
  '57P03': starting,
  '57P04': noDatabase,
  '58': failing,
  XX001: corrupt,
  XX002: corrupt,
}
/** By Node's code of a failed socket or handshake. */
const byCode: Readonly<Record<string, Verdict>> = {
  ECONNREFUSED: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  EHOSTDOWN: unreachable,
  ENOENT: unreachable,
  EAI_AGAIN: unreachable,
  ENOTFOUND: unknownHost,
  ECONNRESET: lost,
  EPIPE: lost,
  DEPTH_ZERO_SELF_SIGNED_CERT: noTls,
  SELF_SIGNED_CERT_IN_CHAIN: noTls,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: noTls,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: noTls,
  CERT_HAS_EXPIRED: noTls,
  EPROTO: noTls,
}
/** What pg_hba.conf refuses has one state; a server in English, 13 or newer, adds how the client came. */
const byRefusal: readonly (readonly [RegExp, Verdict])[] = [
  [/pg_hba\.conf.*, (no encryption|SSL off)$/, wantsTls],
  [/pg_hba\.conf.*, (SSL encryption|SSL on)$/, deniedOverTls],
]
/** The driver's own errors have no code. */
const byMessage: readonly (readonly [RegExp, Verdict])[] = [
  [/does not support SSL connections/, offersNoTls],
  [/SSL|TLS|certificate/i, noTls],
  [/password must be a string|client password/i, denied],
  [/timeout exceeded when trying to connect/, crowded],
  [/due to connection timeout/, unreachable],
  [/Connection terminated|not queryable|Query read timeout|calling end on the pool/i, lost],
]

function verdictOf(error: unknown): Verdict | undefined {
  if (isTreatyError(error)) return undefined
  if (error instanceof AggregateError) return verdictOf(error.errors[0])
  if (!(error instanceof Error)) return undefined
  const code = (error as { code?: unknown }).code
  if (code === '28000') {
    return byRefusal.find(([pattern]) => pattern.test(error.message))?.[1] ?? denied
  }
  if (typeof code === 'string') {
    const known = byState[code] ?? byState[code.slice(0, 2)] ?? byCode[code]
    if (known !== undefined) return known
    if (/^ERR_(TLS|SSL)_/.test(code)) return noTls
    // A SQLSTATE that says nothing about the server is about the statement.
    if (/^[0-9A-Z]{5}$/.test(code)) return undefined
  }
  return byMessage.find(([pattern]) => pattern.test(error.message))?.[1]
}

/** Whether a statement that failed in this way may be sent again. */
export function postgresFate(error: unknown): PostgresFate {
  return verdictOf(error)?.fate ?? 'refused'
}

/** True when the connection is of no use after this error. */
export function endsConnection(error: unknown): boolean {
  return postgresFate(error) === 'lost' || (error as { severity?: unknown })?.severity === 'FATAL'
}

/**
 * The same problem in Treaty's words, with the driver's own as `cause`. A TreatyError comes back as it is.
 *
 * Codes: STORE_BUSY, STORE_FULL, STORE_CORRUPT, STORE_UNAVAILABLE, STORE_ACCESS_DENIED, STORE_TLS_FAILED,
 * STORE_OUTDATED; UNFORESEEN for a statement that PostgreSQL refuses, which is a defect of the caller.
 *
 * @param name The store, as {@link PostgresPlace} names it; without user and password.
 */
export function mapPostgresError(error: unknown, name: string): TreatyError {
  if (isTreatyError(error)) return error
  const first = error instanceof AggregateError ? error.errors[0] : error
  const code = (first as { code?: unknown } | undefined)?.code
  const verdict = verdictOf(error)
  if (verdict === undefined) {
    return new TreatyError(
      'UNFORESEEN',
      `the store ${name} refused a statement: ${errorMessage(error)}`,
      { cause: error },
    )
  }
  return new TreatyError(verdict.code, `the store ${name} ${verdict.problem}`, {
    hint: verdict.hint,
    details: {
      store: name,
      postgres: errorMessage(first),
      ...(typeof code === 'string' ? { state: code } : {}),
      ...(verdict === lost ? { outcome: 'unknown' } : {}),
    },
    cause: error,
  })
}
