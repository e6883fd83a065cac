import type { ErrorCode } from '../../../core/errors.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../../core/errors.ts'

interface Kind {
  readonly pattern: RegExp
  readonly code: ErrorCode
  readonly says: string
  readonly hint: string
}

/** What a Redis server answers instead of a reply, by the word that begins the answer. */
const replies: readonly Kind[] = [
  {
    pattern: /DB index is out of range|SELECT is not allowed/i,
    code: 'BROKER_URL_INVALID',
    says: 'does not have the database of the URL',
    hint: 'Leave the database out of the URL, or raise databases on the server; a cluster has only 0.',
  },
  {
    pattern: /^(NOAUTH|WRONGPASS|ERR invalid password|ERR AUTH|ERR Client sent AUTH)/i,
    code: 'BROKER_ACCESS_DENIED',
    says: 'refused the user or the password',
    hint: 'Check user and password of the URL.',
  },
  {
    pattern: /^NOPERM|ACL failure|DENIED|The user executing the script can't/i,
    code: 'BROKER_ACCESS_DENIED',
    says: 'does not permit what was tried',
    hint: 'Give the user +@all on keys with the prefix of the URL, without @admin: ACL SETUSER … +@all -@admin ~treaty:*.',
  },
  {
    pattern: /^READONLY/,
    code: 'BROKER_READ_ONLY',
    says: 'is a replica and takes no writes',
    hint: 'Use the address of the primary.',
  },
  {
    pattern: /^OOM|-OOM|used memory > 'maxmemory'/,
    code: 'BROKER_FULL',
    says: 'has used all the memory that it may use',
    hint: 'Raise maxmemory, or let consumers catch up; nothing that was acknowledged is lost.',
  },
  {
    pattern: /^MISCONF/,
    code: 'BROKER_FULL',
    says: 'cannot write to its disk and takes no messages',
    hint: 'Free space on the disk of the server; its log names the error.',
  },
  {
    pattern: /^(LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS)/,
    code: 'BROKER_UNREACHABLE',
    says: 'takes no commands now',
    hint: 'Wait until it is ready: it is tried again.',
  },
  {
    pattern: /^(MOVED|ASK|CROSSSLOT)/,
    code: 'BROKER_URL_INVALID',
    says: 'is a node of a Redis Cluster that does not have these keys',
    hint: 'Use a server, or a cluster of one node, that has every slot.',
  },
]

/** What went wrong before there was a connection. */
const connections: readonly Kind[] = [
  {
    // A server without TLS answers a handshake with an error text; one with TLS answers commands with an alert (0x15).
    pattern: /SSL|TLS|certificate|CERT_|EPROTO|self.signed|altname|Protocol error, got/i,
    code: 'BROKER_TLS_FAILED',
    says: 'and this client found no common TLS',
    hint: 'Use rediss:// for a port with TLS and redis:// for one without; name the authority with ?ca=FILE.',
  },
]

/** True for an error that the server answered: the command was taken and refused. */
export function isReplyError(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

/** An error of the driver as one of ours. `place` is for people; `denied`: commands that the user may not run. */
export function asBrokerError(
  error: unknown,
  place: string,
  denied: readonly string[] = [],
): TreatyError {
  if (isTreatyError(error)) return error
  const text = errorMessage(error)
  const kinds = isReplyError(error) ? replies : [...connections, ...replies]
  // An error inside a script comes as "ERR Error running script … : @user_script: 12: READONLY …", or with its own word first.
  const inner = /@user_script:?\s*\d+:\s*-?(.*)$/s.exec(text)?.[1] ?? text
  const kind = kinds.find(({ pattern }) => pattern.test(text) || pattern.test(inner))
  if (kind !== undefined) {
    const isDenied = kind.code === 'BROKER_ACCESS_DENIED' && denied.length > 0
    const which = isDenied ? `; of what is needed it forbids ${denied.join(', ')}` : ''
    return new TreatyError(
      kind.code,
      `the Redis server ${place} ${kind.says}: ${short(text)}${which}`,
      {
        hint: kind.hint,
        ...(isDenied ? { details: { commands: denied } } : {}),
        cause: error,
      },
    )
  }
  if (isReplyError(error)) {
    return new TreatyError('TRANSPORT_FAILED', `the Redis server ${place} says: ${short(text)}`, {
      cause: error,
    })
  }
  return new TreatyError(
    'BROKER_UNREACHABLE',
    `the Redis server ${place} cannot be reached: ${short(text)}`,
    {
      hint: 'Check host and port of the URL, and that the server runs.',
      cause: error,
    },
  )
}

function short(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
