import { lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isIP } from 'node:net'
import { Agent } from 'undici'
import { TreatyError } from '../../core/errors.ts'
import { checkAddress, checkUrl, type EgressVerdict, type Resolve } from '../../http/index.ts'

/** Which addresses endpoints may have. */
export interface EgressOptions {
  /** Default `required`. */
  readonly https?: 'required' | 'optional'
  /** Default `deny`: only addresses that everybody can reach. */
  readonly privateNetworks?: 'deny' | 'allow'
  /** Default 443 and 8443. */
  readonly ports?: readonly number[] | 'any'
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
}

/** Who may be called, checked when an endpoint is added, before each attempt and at each connection. */
export interface Egress {
  /** Everything, names resolved. */
  check(url: string): Promise<EgressVerdict>
  /** What needs no resolver. */
  checkShape(url: string): EgressVerdict
  /** Connects only to addresses that it has checked itself, so that a name which changes in between gains nothing. */
  createAgent(options: { readonly connections: number }): Agent
}

const portsDefault: readonly number[] = [443, 8443]
const denied = (reason: string): EgressVerdict => ({ allowed: false, reason })

/** The rules, and connections that keep to them at the moment of connecting. */
export function createEgress(options: EgressOptions = {}): Egress {
  const { https = 'required', privateNetworks = 'deny', ports = portsDefault, resolve } = options
  const isOpen = privateNetworks === 'allow'

  function checkShape(text: string): EgressVerdict {
    const url = URL.parse(text)
    if (url === null) return denied('it is no URL')
    const isHttps = url.protocol === 'https:'
    if (!isHttps && !(url.protocol === 'http:' && https === 'optional')) {
      return denied('https is required')
    }
    if (url.username !== '' || url.password !== '') return denied('it carries user information')
    const port = url.port === '' ? (isHttps ? 443 : 80) : Number(url.port)
    if (ports !== 'any' && !ports.includes(port)) return denied(`the port ${port} is not allowed`)
    const host = hostOf(url)
    return !isOpen && isIP(host) !== 0 ? checkAddress(host) : { allowed: true }
  }

  return {
    checkShape,
    async check(text) {
      const shape = checkShape(text)
      if (!shape.allowed || isOpen) return shape
      const url = new URL(text)
      const own = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
      return checkUrl(url, { https, ports: [own], ...(resolve === undefined ? {} : { resolve }) })
    },
    createAgent: ({ connections }) =>
      new Agent({
        connections,
        pipelining: 1,
        keepAliveTimeout: 10_000,
        connect: { timeout: 10_000, ...(isOpen ? {} : { lookup: guardedLookup(resolve) }) },
      }),
  }
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

/** Resolves and checks in one step: the socket connects to these addresses and to no others. */
function guardedLookup(resolve: Resolve | undefined): LookupFunction {
  return (hostname, options, callback) => {
    const finish = (found: readonly { address: string; family: number }[]) => {
      const refused = found.map(({ address }) => checkAddress(address)).find((one) => !one.allowed)
      const [first] = found
      if (refused || first === undefined) {
        const reason = refused && !refused.allowed ? refused.reason : 'without an address'
        callback(egressDenied(`${hostname} is ${reason}`), '', 0)
      } else if (options.all) callback(null, [...found])
      else callback(null, first.address, first.family)
    }
    if (resolve) {
      resolve(hostname).then(
        (addresses) => finish(addresses.map((address) => ({ address, family: isIP(address) }))),
        (error: Error) => callback(error, '', 0),
      )
      return
    }
    systemLookup(hostname, { all: true, verbatim: true }, (error, found) => {
      if (error) callback(error, '', 0)
      else finish(found)
    })
  }
}

/** The error of an address that endpoints may not have: WEBHOOK_EGRESS_DENIED. */
export function egressDenied(reason: string): TreatyError {
  return new TreatyError('WEBHOOK_EGRESS_DENIED', `the endpoint may not be called: ${reason}`, {
    hint: 'Use a public https URL, or allow others by the egress option.',
  })
}
