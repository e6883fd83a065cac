import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { checkAddress, type EgressVerdict } from './check-address.ts'

/** Every address of a host name, as text. */
export type Resolve = (host: string) => Promise<readonly string[]>

/** What {@link checkUrl} allows. */
export interface CheckUrlOptions {
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
  /** Default `required`. */
  readonly https?: 'required' | 'optional'
  /** Ports that may be called; default 443 and 8443. */
  readonly ports?: readonly number[]
}

/** The system's resolver: every address that a connection might use. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)

const denied = (reason: string): EgressVerdict => ({ allowed: false, reason })

/** The host without the brackets of IPv6 and without the dot that ends a full name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

/** What can be asked of a URL without resolving its name. */
export interface UrlRules {
  readonly https: 'required' | 'optional'
  /** Undefined: any. */
  readonly ports: readonly number[] | undefined
}

/** What can be said of a URL without asking anybody: scheme, user information, port. */
export function checkUrlShape(url: URL, rules: UrlRules): EgressVerdict {
  const isHttps = url.protocol === 'https:'
  if (!isHttps && url.protocol !== 'http:') return denied(`the scheme ${url.protocol} is not HTTP`)
  if (!isHttps && rules.https === 'required') return denied('https is required')
  if (url.username !== '' || url.password !== '') return denied('it carries user information')
  const port = url.port === '' ? (isHttps ? 443 : 80) : Number(url.port)
  if (rules.ports && !rules.ports.includes(port)) return denied(`the port ${port} is not allowed`)
  return { allowed: true }
}

/** All addresses must be public: which one a connection takes is not ours to say. */
export function checkAddresses(
  addresses: readonly string[],
  check: (ip: string) => EgressVerdict = checkAddress,
): EgressVerdict {
  if (addresses.length === 0) return denied('its name has no address')
  for (const address of addresses) {
    const verdict = check(address)
    if (!verdict.allowed) return denied(`its address ${address} is ${verdict.reason}`)
  }
  return { allowed: true }
}

/**
 * Whether a URL that somebody else chose may be called: https, no user information, an allowed port, and every address
 * that its name resolves to global unicast. What cannot be parsed or resolved is denied; never throws. A name can resolve
 * differently a moment later, so whoever connects checks again at that moment: `createClient` does.
 */
export async function checkUrl(
  url: string | URL,
  options: CheckUrlOptions = {},
): Promise<EgressVerdict> {
  const parsed = typeof url === 'string' ? URL.parse(url) : url
  if (parsed === null) return denied('it is no URL')
  const { https = 'required', ports = [443, 8443], resolve = systemResolve } = options
  const shape = checkUrlShape(parsed, { https, ports })
  if (!shape.allowed) return shape
  const host = hostOf(parsed)
  if (isIP(host) !== 0) return checkAddresses([host])
  try {
    return checkAddresses(await resolve(host))
  } catch {
    return denied('its name cannot be resolved')
  }
}
