import { readFileSync } from 'node:fs'
import { TreatyError } from '../../../core/errors.ts'

/** What an `amqp://` URL says, apart. */
export interface RabbitmqPlace {
  readonly host: string
  readonly port: number
  readonly vhost: string
  readonly username: string
  readonly password: string
  /** Absent: no TLS. */
  readonly tls?: { readonly ca?: string; readonly servername?: string }
  /** What the names of all that we make begin with. */
  readonly prefix: string
  readonly queues: 'quorum' | 'classic'
  /** Scheme, host, port and vhost for people; never user or password. */
  readonly name: string
}

const options = ['queues', 'prefix', 'ca', 'servername'] as const
/** Names have 255 bytes; the rest is for what is named. */
const prefixBytesMax = 60

/** True for `amqp://` and `amqps://`. */
export function isRabbitmqUrl(url: string): boolean {
  return /^amqps?:\/\//i.test(url)
}

/**
 * Reads `amqp://USER:PASSWORD@HOST:PORT/VHOST?queues=quorum|classic&prefix=TEXT`, or `amqps://…?ca=FILE&servername=NAME` for TLS.
 *
 * @throws BROKER_URL_INVALID, never repeating the URL, which may hold a password
 */
export function readRabbitmqUrl(text: string): RabbitmqPlace {
  const url = URL.canParse(text) && isRabbitmqUrl(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('the URL of the RabbitMQ broker cannot be read')
  const given = url.searchParams
  const unknown = [...given.keys()].find((name) => !options.some((known) => known === name))
  if (unknown !== undefined) {
    throw invalid(`the URL of the RabbitMQ broker has the option '${unknown}', which is not known`)
  }
  const isTls = /^amqps:$/i.test(url.protocol)
  if (!isTls && (given.has('ca') || given.has('servername'))) {
    throw invalid('the options ca and servername are for TLS, and the URL says amqp:// without it')
  }
  const queues = given.get('queues') ?? 'quorum'
  if (queues !== 'quorum' && queues !== 'classic') {
    throw invalid(`the option queues is 'quorum' or 'classic', not '${queues}'`)
  }
  const prefix = given.get('prefix') ?? ''
  if (Buffer.byteLength(prefix) > prefixBytesMax || prefix.startsWith('amq.')) {
    throw invalid(
      `the option prefix has at most ${prefixBytesMax} bytes and does not begin with amq.`,
    )
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
  const port = url.port === '' ? (isTls ? 5671 : 5672) : Number(url.port)
  const vhost = decoded(url.pathname.replace(/^\//, '')) || '/'
  const username = decoded(url.username)
  return {
    host,
    port,
    vhost,
    username: username || 'guest',
    password: username === '' && url.password === '' ? 'guest' : decoded(url.password),
    prefix,
    queues,
    name: `${isTls ? 'amqps' : 'amqp'}://${url.hostname || host}:${port}/${encodeURIComponent(vhost)}`,
    ...(isTls ? { tls: tlsOf(given) } : {}),
  }
}

function tlsOf(given: URLSearchParams): NonNullable<RabbitmqPlace['tls']> {
  const [file, servername] = [given.get('ca'), given.get('servername')]
  return {
    ...(file === null ? {} : { ca: readAuthority(file) }),
    ...(servername === null ? {} : { servername }),
  }
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw invalid(`the file of the option ca cannot be read: ${file}`, cause)
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw invalid('the URL of the RabbitMQ broker is not percent-encoded where it has to be', cause)
  }
}

function invalid(message: string, cause?: unknown): TreatyError {
  return new TreatyError('BROKER_URL_INVALID', message, {
    hint: `Write amqp://USER:PASSWORD@HOST:PORT/VHOST, with special characters percent-encoded; options: ${options.join(', ')}.`,
    ...(cause === undefined ? {} : { cause }),
  })
}
