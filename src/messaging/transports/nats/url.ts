import { TreatyError } from '../../../core/errors.ts'
import { redactUrl } from '../../../core/secret.ts'

/** What the URL of a NATS server says. */
export interface NatsPlace {
  /** `host:port`, several in a cluster. */
  readonly servers: readonly string[]
  readonly user?: string
  readonly password?: string
  readonly token?: string
  /** A file of credentials as `nsc` writes it, or its content. */
  readonly creds?: string
  /** Seed of an NKey. */
  readonly nkey?: string
  readonly tls: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** TLS begins before the server has said anything (`handshake_first`). */
  readonly tlsFirst?: boolean
  /** Certificates are checked. Default true. */
  readonly verify: boolean
  /** First token of all that is ours on the server. Default `treaty`. */
  readonly namespace: string
  /** Copies of each stream in a cluster. Default 1. */
  readonly replicas: number
}

const shape =
  'nats://USER:PASSWORD@HOST:PORT, or tls:// with ?ca=FILE; more hosts follow behind commas'
const known = [
  'token',
  'creds',
  'nkey',
  'ca',
  'cert',
  'key',
  'tls_first',
  'verify',
  'namespace',
  'replicas',
] as const
const schemes = ['nats', 'tls', 'nats+tls']

/** True for URLs of this transport. */
export function isNatsUrl(url: string): boolean {
  return /^(nats|tls|nats\+tls):\/\//i.test(url)
}

/**
 * Reads `nats://USER:PASSWORD@HOST:4222,HOST2?option=value`. `TOKEN@` alone is a token.
 *
 * @throws BROKER_URL_INVALID
 */
export function readNatsUrl(url: string): NatsPlace {
  const match = /^([a-z+]+):\/\/(?:([^/?#]*)@)?([^/?#@]*)\/?(?:\?([^#]*))?$/i.exec(url)
  const scheme = match?.[1]?.toLowerCase() ?? ''
  if (match === null || !schemes.includes(scheme) || match[3] === '') {
    throw invalid(url, 'the URL of the NATS server cannot be read')
  }
  const options = readOptions(url, match[4] ?? '')
  const replicas = Number(options.replicas ?? 1)
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5) {
    throw invalid(url, `the option replicas is '${options.replicas}', and not a number from 1 to 5`)
  }
  const { ca, cert, key, creds, nkey, namespace = 'treaty' } = options
  if (namespace === '') throw invalid(url, 'the option namespace is empty')
  return {
    servers: readServers(url, match[3] ?? ''),
    ...readUser(match[2], options.token),
    ...(creds === undefined ? {} : { creds }),
    ...(nkey === undefined ? {} : { nkey }),
    tls: scheme !== 'nats',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(options.tls_first === 'true' ? { tlsFirst: true } : {}),
    verify: options.verify !== 'false',
    namespace,
    replicas,
  }
}

function readServers(url: string, hosts: string): string[] {
  return hosts.split(',').map((host) => {
    const port = /^(?:\[[0-9a-f:.]+\]|[^:[\]\s]+)(?::(\d+))?$/i.exec(host)
    if (port === null || Number(port[1] ?? 0) > 65_535) {
      throw invalid(url, `the host '${host}' of the NATS server cannot be read`)
    }
    return port[1] === undefined ? `${host}:4222` : host
  })
}

function readUser(
  userinfo: string | undefined,
  token: string | undefined,
): Pick<NatsPlace, 'user' | 'password' | 'token'> {
  if (token !== undefined) return { token }
  if (userinfo === undefined || userinfo === '') return {}
  const [user = '', ...rest] = userinfo.split(':').map((part) => decodeURIComponent(part))
  return rest.length === 0 ? { token: user } : { user, password: rest.join(':') }
}

type Option = (typeof known)[number]

function readOptions(url: string, query: string): Partial<Record<Option, string>> {
  const options: Partial<Record<Option, string>> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name as Option)) {
      throw invalid(url, `the option '${name}' of a NATS URL is not known`)
    }
    options[name as Option] = value
  }
  return options
}

function invalid(url: string, message: string): TreatyError {
  return new TreatyError('BROKER_URL_INVALID', message, {
    hint: `Write ${shape}; options are ${known.join(', ')}.`,
    details: { url: redactUrl(url) },
  })
}
