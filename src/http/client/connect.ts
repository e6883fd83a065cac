import { type LookupAddress, type LookupOptions, NOTFOUND } from 'node:dns'
import { isIP } from 'node:net'
import { buildConnector } from 'undici'
import type { EgressVerdict } from '../egress/check-address.ts'
import { checkAddresses, type Resolve, systemResolve } from '../egress/check-url.ts'
import { egressDenied } from './network-error.ts'

/** Certificates of the client's side and authorities of the other. Verification cannot be switched off. */
export interface TlsOptions {
  /** Authorities in PEM that are trusted in place of the system's. */
  readonly ca?: string | readonly string[]
  /** Our own certificate in PEM, for mutual TLS. */
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  /** Name that the other side's certificate must have; default: the host. */
  readonly servername?: string
}

/** How sockets are made: which addresses, whose names, which certificates, how long. */
export interface ConnectorOptions {
  /** Undefined: every address may be called. */
  readonly check: ((ip: string) => EgressVerdict) | undefined
  readonly resolve: Resolve | undefined
  readonly tls: TlsOptions | undefined
  readonly timeoutMs: number
}

type LookupCallback = (
  error: Error | null,
  address: string | LookupAddress[],
  family?: number,
) => void

/** A `lookup` for sockets that asks `resolve` and refuses a name with any address that is not public. */
function guardedLookup({ check, resolve = systemResolve }: ConnectorOptions) {
  return (host: string, options: LookupOptions, callback: LookupCallback) => {
    resolve(host).then(
      (addresses) => {
        const verdict = check && addresses.length > 0 ? checkAddresses(addresses, check) : undefined
        if (verdict?.allowed === false) {
          callback(egressDenied(host, verdict.reason), [])
          return
        }
        const found = addresses.map((address) => ({ address, family: isIP(address) }))
        const [first] = found
        if (first === undefined) {
          callback(Object.assign(new Error(`no address for ${host}`), { code: NOTFOUND }), [])
        } else if (options.all) callback(null, found)
        else callback(null, first.address, first.family)
      },
      (error: Error) => callback(error, []),
    )
  }
}

/**
 * A connector that decides at the moment of connecting, so that a name that changed its address since it was checked leads
 * nowhere: literal addresses before, resolved ones in the lookup, and the peer's once more when the socket is there.
 */
export function createConnector(options: ConnectorOptions): buildConnector.connector {
  const { check } = options
  const needsLookup = check !== undefined || options.resolve !== undefined
  const { servername, ...tls } = options.tls ?? {}
  const connect = buildConnector({
    ...(tls as buildConnector.BuildOptions),
    ...(servername === undefined ? {} : { servername }),
    ...(needsLookup ? { lookup: guardedLookup(options) as never } : {}),
    allowH2: false,
    timeout: options.timeoutMs,
  })
  if (check === undefined) return connect
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '')
    const literal = isIP(host) === 0 ? undefined : check(host)
    if (literal?.allowed === false) {
      callback(egressDenied(host, literal.reason), null)
      return
    }
    connect(target, (error, socket) => {
      const peer = socket?.remoteAddress
      const verdict = peer === undefined ? undefined : check(peer)
      if (socket && verdict?.allowed === false) {
        socket.destroy()
        callback(egressDenied(host, `its peer ${peer} is ${verdict.reason}`), null)
      } else if (error) callback(error, null)
      else callback(null, socket as NonNullable<typeof socket>)
    })
  }
}
