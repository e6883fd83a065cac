import { type ErrorCode, errorMessage, isTreatyError, TreatyError } from '../../../core/errors.ts'

interface Kind {
  readonly pattern: RegExp
  readonly code: ErrorCode
  readonly says: string
  readonly hint: string
}

/** By what the broker or the system says; the first that fits. */
const kinds: readonly Kind[] = [
  {
    pattern: /ACCESS.REFUSED|\b403\b|SASL mechanism/i,
    code: 'BROKER_ACCESS_DENIED',
    says: 'refused the user, or does not permit what was tried',
    hint: 'Check user and password of the URL, and give the user configure, write and read rights: rabbitmqctl set_permissions.',
  },
  {
    // A virtual host that is not there ends the handshake at its last step, and the driver keeps the reason to itself.
    pattern: /NOT.ALLOWED|\b530\b|it ended the handshake/i,
    code: 'BROKER_ACCESS_DENIED',
    says: 'has no such virtual host, or does not let this user in',
    hint: 'Check the path of the URL: / is written as nothing or %2F.',
  },
  {
    pattern:
      /SSL|TLS|certificate|CERT_|EPROTO|self.signed|altname|Invalid frame|Expected ConnectionStart|frame size/i,
    code: 'BROKER_TLS_FAILED',
    says: 'and this client found no common TLS',
    hint: 'Use amqps:// for a port with TLS and amqp:// for one without; name the authority with ?ca=FILE.',
  },
  {
    pattern: /RESOURCE.ALARM|low on (memory|disk)/i,
    code: 'BROKER_FULL',
    says: 'has an alarm for memory or disk and takes no messages',
    hint: 'Free space on the broker or raise its limits; nothing that was acknowledged is lost.',
  },
  {
    pattern: /PRECONDITION.FAILED - message size|\b311\b/i,
    code: 'MESSAGE_TOO_LARGE',
    says: 'refused a message as too large',
    hint: 'Send a reference to the content instead, or raise max_message_size.',
  },
  {
    pattern:
      /ECONN|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE|closed|Heartbeat|ended|CONNECTION.FORCED|no reply/i,
    code: 'BROKER_UNREACHABLE',
    says: 'cannot be reached',
    hint: 'Check host and port of the URL, and that the broker runs.',
  },
]

/** An error of the client or the broker, as one of ours. `place` names the broker without its credentials. */
export function rabbitmqError(error: unknown, place: string): TreatyError {
  if (isTreatyError(error)) return error
  const text = textOf(error)
  const kind = kinds.find(({ pattern }) => pattern.test(text))
  if (kind === undefined) {
    return new TreatyError('TRANSPORT_FAILED', `the RabbitMQ broker at ${place} says: ${text}`, {
      cause: error,
    })
  }
  const { code, says, hint } = kind
  return new TreatyError(code, `the RabbitMQ broker at ${place} ${says}: ${text}`, {
    hint,
    cause: error,
  })
}

function textOf(error: unknown): string {
  const { code, errors } = error as { code?: unknown; errors?: readonly unknown[] }
  const inner = Array.isArray(errors) && errors.length > 0 ? errorMessage(errors[0]) : ''
  const message = errorMessage(error) || inner
  const known = typeof code === 'string' && !message.includes(code) ? `${code} ${message}` : message
  const text = known
    .replaceAll(/\s+/g, ' ')
    // OpenSSL tells the place in its source too.
    .replace(/\S*:error:[^:]*:[^:]*:[^:]*:([^:]+):\S*/, '$1')
    .replace(/^Handshake terminated by server: /, '')
    .replace(/^Expected ConnectionOpenOk.*/, 'it ended the handshake')
    .trim()
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** What the broker closed a channel for: 404 no such thing, 405 another's, 406 another form, 403 not permitted. */
export function channelCode(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'number' ? code : undefined
}

/** True where the same work may succeed on a new channel: the connection went, or the channel with it. */
export function isPassing(error: unknown): boolean {
  if (isTreatyError(error)) return error.code === 'BROKER_UNREACHABLE'
  const code = channelCode(error)
  if (code !== undefined) return code === 320 || code === 541 || code === 506
  return /channel (closed|closing|ended)|connection clos|Channel ended|IllegalOperation/i.test(
    `${(error as Error)?.name} ${errorMessage(error)}`,
  )
}
