import { readFileSync } from 'node:fs'
import { TreatyError } from '../../../core/errors.ts'

/** What a `redis://` URL says, apart. */
export interface RedisPlace {
  readonly host: string
  readonly port: number
  readonly database: number
  readonly username?: string
  readonly password?: string
  /** Absent: no TLS. */
  readonly tls?: { readonly ca?: string; readonly servername?: string }
  /** What the names of all keys begin with. Default: nothing before `treaty:`. */
  readonly prefix: string
  /** Replicas that have to have a message before its publish is confirmed. Absent: the primary's disk is enough. */
  readonly replicas?: number
  /** Host, port and database for people; never user or password. */
  readonly name: string
}

const portDefault = 6379
const options = ['prefix', 'replicas', 'ca', 'servername'] as const
const replicasMost = 9

/** True for `redis://` and `rediss://`, and the same of Valkey. */
export function isRedisUrl(url: string): boolean {
  return /^(rediss?|valkeys?):\/\//i.test(url)
}

/**
 * Reads `redis://USER:PASSWORD@HOST:PORT/DATABASE?prefix=TEXT&replicas=NUMBER`, or `rediss://…?ca=FILE&servername=NAME` for TLS.
 *
 * @throws BROKER_URL_INVALID, never repeating the URL, which may hold a password
 */
export function readRedisUrl(text: string): RedisPlace {
  const url = URL.canParse(text) && isRedisUrl(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid('the URL of the Redis server cannot be read')
  const given = url.searchParams
  const unknown = [...given.keys()].find((name) => !options.some((known) => known === name))
  if (unknown !== undefined)
    throw invalid(`the URL of the Redis server has the option '${unknown}', which is not known`)
  const database = url.pathname.replace(/^\//, '') || '0'
  if (!/^\d{1,5}$/.test(database))
    throw invalid('the database in the URL of the Redis server is not a number')
  const port = url.port === '' ? portDefault : Number(url.port)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
  const isTls = /^(rediss|valkeys):$/i.test(url.protocol)
  if (!isTls && (given.has('ca') || given.has('servername'))) {
    throw invalid('the options ca and servername are for TLS, and the URL says redis:// without it')
  }
  const [username, password] = [decoded(url.username), decoded(url.password)]
  return {
    host,
    port,
    database: Number(database),
    prefix: given.get('prefix') ?? '',
    name: `${isTls ? 'rediss' : 'redis'}://${url.hostname || host}:${port}/${database}`,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(isTls ? { tls: tlsOf(given) } : {}),
    ...replicasOf(given.get('replicas')),
  }
}

function replicasOf(text: string | null): Pick<RedisPlace, 'replicas'> {
  if (text === null || text === '0') return {}
  const replicas = text === '' ? Number.NaN : Number(text)
  if (Number.isInteger(replicas) && replicas > 0 && replicas <= replicasMost) return { replicas }
  throw invalid(`the option replicas is no number from 0 to ${replicasMost}`)
}

function tlsOf(given: URLSearchParams): NonNullable<RedisPlace['tls']> {
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
    throw invalid('user or password in the URL of the Redis server are not percent-encoded', cause)
  }
}

function invalid(message: string, cause?: unknown): TreatyError {
  return new TreatyError('BROKER_URL_INVALID', message, {
    hint: `Write redis://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded; options: ${options.join(', ')}.`,
    ...(cause === undefined ? {} : { cause }),
  })
}
