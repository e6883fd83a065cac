import { readFileSync } from 'node:fs'
import { TreatyError } from '../../../core/errors.ts'
import { redactUrl } from '../../../core/secret.ts'

/** A server that answers first; the others are learned from it. */
export interface Server {
  readonly host: string
  readonly port: number
}

export interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

export const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
export interface Sasl {
  readonly mechanism: (typeof saslMechanisms)[number]
  readonly username: string
  readonly password: string
}

/** What the URL of a Kafka cluster says. */
export interface KafkaTarget {
  readonly servers: readonly Server[]
  readonly tls?: Tls
  readonly sasl?: Sasl
  /** False: the producer is not idempotent, for brokers or permissions that forbid it. */
  readonly isIdempotent: boolean
  /** Stands before the name of every topic and group, so that several installations share a cluster. */
  readonly prefix: string
  /** Copies of new topics; undefined: as the broker has it. */
  readonly replicas: number | undefined
  /** For messages: without credentials. */
  readonly shown: string
}

const portDefault = 9092
const known = ['mechanism', 'idempotence', 'prefix', 'replicas', 'ca', 'cert', 'key', 'servername']

/** True for a URL that the Kafka transport takes. */
export function isKafkaUrl(url: string): boolean {
  return /^kafka(\+ssl)?:\/\//i.test(url)
}

/**
 * Reads `kafka://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/][?option=…]`, or `kafka+ssl://…` for TLS. Options: `mechanism` (PLAIN,
 * SCRAM-SHA-256, SCRAM-SHA-512), `idempotence`, `prefix`, `replicas`, and with TLS `ca`, `cert`, `key` (files), `servername`.
 *
 * @throws BROKER_URL_INVALID
 */
export function parseKafkaUrl(url: string): KafkaTarget {
  const parts = /^kafka(\+ssl)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)\/?(?:\?([^#]*))?$/i.exec(url)
  if (parts === null) throw invalid(url, 'it has another form than kafka://HOST:PORT?option=value')
  const [, ssl, credentials, hosts = '', query = ''] = parts
  const options = new URLSearchParams(query)
  const unknown = [...options.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) throw invalid(url, `the option '${unknown}' is not known`)
  const tls = tlsOf(url, ssl !== undefined, options)
  const sasl = saslOf(url, credentials, options)
  return {
    servers: hosts.split(',').map((text) => serverOf(url, text)),
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
    isIdempotent: flagOf(url, 'idempotence', options.get('idempotence')),
    prefix: prefixOf(url, options.get('prefix')),
    replicas: replicasOf(url, options.get('replicas')),
    shown: redactUrl(url),
  }
}

function invalid(url: string, why: string): TreatyError {
  return new TreatyError(
    'BROKER_URL_INVALID',
    `the URL "${redactUrl(url)}" cannot be used: ${why}`,
    {
      hint: 'Write it as kafka://USER:PASSWORD@HOST:PORT?option=value, or kafka+ssl:// for TLS.',
    },
  )
}

function serverOf(url: string, text: string): Server {
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text)
  if (parts === null) throw invalid(url, `'${text}' is no HOST:PORT`)
  const port = parts[2] === undefined ? portDefault : Number(parts[2])
  if (port < 1 || port > 65_535) throw invalid(url, `${port} is no port`)
  return { host: (parts[1] as string).replace(/^\[|\]$/g, ''), port }
}

function saslOf(
  url: string,
  credentials: string | undefined,
  options: URLSearchParams,
): Sasl | undefined {
  const asked = options.get('mechanism')
  if (credentials === undefined || credentials === '') {
    if (asked !== null) throw invalid(url, 'mechanism needs a user and a password')
    return undefined
  }
  const mechanism = saslMechanisms.find((each) => each === (asked ?? 'PLAIN').toUpperCase())
  if (mechanism === undefined) {
    throw invalid(url, `mechanism '${asked}' is not one of ${saslMechanisms.join(', ')}`)
  }
  const colon = credentials.indexOf(':')
  const user = colon === -1 ? credentials : credentials.slice(0, colon)
  return {
    mechanism,
    username: decoded(url, user),
    password: colon === -1 ? '' : decoded(url, credentials.slice(colon + 1)),
  }
}

function decoded(url: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(url, 'user or password is not percent-encoded')
  }
}

function tlsOf(url: string, isOn: boolean, options: URLSearchParams): Tls | undefined {
  const files = ['ca', 'cert', 'key'].filter((name) => options.has(name))
  if (!isOn) {
    const stray = [...files, ...(options.has('servername') ? ['servername'] : [])][0]
    if (stray !== undefined) throw invalid(url, `${stray} needs the scheme kafka+ssl`)
    return undefined
  }
  const servername = options.get('servername')
  return {
    ...Object.fromEntries(files.map((name) => [name, read(url, options.get(name) ?? '')])),
    ...(servername === null ? {} : { servername }),
  }
}

function read(url: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw invalid(url, `the file ${path} cannot be read`)
  }
}

function flagOf(url: string, name: string, text: string | null): boolean {
  if (text === null || text === 'true') return true
  if (text === 'false') return false
  throw invalid(url, `${name} is 'true' or 'false', not '${text}'`)
}

function prefixOf(url: string, text: string | null): string {
  if (text === null || /^[a-zA-Z0-9._-]{0,60}$/.test(text)) return text ?? ''
  throw invalid(url, 'prefix has up to 60 letters, digits, dots, underscores and hyphens')
}

function replicasOf(url: string, text: string | null): number | undefined {
  if (text === null) return undefined
  const count = Number(text)
  if (Number.isInteger(count) && count > 0 && count < 100) return count
  throw invalid(url, `replicas is a small number, not '${text}'`)
}
