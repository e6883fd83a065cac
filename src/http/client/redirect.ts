import { isIP } from 'node:net'
import { TreatyError } from '../../core/errors.ts'
import { checkAddress, checkNamedAddress, type EgressVerdict } from '../egress/check-address.ts'
import { checkUrlShape, hostOf, type UrlRules } from '../egress/check-url.ts'
import { harmlessHeaders } from './message-headers.ts'
import { egressDenied } from './network-error.ts'
import type { WireRequest, WireResponse } from './transport.ts'

/** What a client may call, as its options say. */
export interface EgressRules extends UrlRules {
  readonly privateNetworks: 'deny' | 'allow'
}

/** What can be said of a URL without connecting; names are judged when they are resolved. */
export function checkTarget(url: URL, rules: EgressRules): EgressVerdict {
  const shape = checkUrlShape(url, rules)
  if (!shape.allowed || rules.privateNetworks === 'allow') return shape
  const host = hostOf(url)
  return isIP(host) === 0 ? shape : checkAddress(host)
}

const followed = new Set([301, 302, 303, 307, 308])

/** True for an answer that sends elsewhere. */
export function isRedirect(response: WireResponse): boolean {
  return followed.has(response.status) && response.headers.location !== undefined
}

/** The error of a redirect that is not followed: HTTP_REDIRECT_REFUSED. */
export function redirectRefused(where: string, status: number, why: string): TreatyError {
  return new TreatyError('HTTP_REDIRECT_REFUSED', `${where} redirects, and ${why}`, {
    kind: 'http',
    status,
    retryable: false,
  })
}

/** The next request of a redirect; `isForeign`: another origin, which gets neither credential nor headers of the caller. */
export interface NextRequest {
  readonly request: WireRequest
  readonly isForeign: boolean
}

/**
 * Where a redirect leads, by RFC 9110 section 15.4: 303 turns into GET, 301 and 302 do so for POST, 307 and 308 repeat the
 * request. A body is never carried to another origin, nor anything to plain http from https.
 *
 * @throws HTTP_REDIRECT_REFUSED, EGRESS_DENIED
 */
export function nextRequest(
  request: WireRequest,
  response: WireResponse,
  rules: { readonly egress: EgressRules; readonly canRepeat: boolean; readonly home: string },
): NextRequest {
  const { status, headers } = response
  const where = `${request.method} ${request.origin}`
  const url = URL.parse(headers.location ?? '', request.origin + request.path)
  if (url === null) throw redirectRefused(where, status, 'its Location is no URL')
  if (request.origin.startsWith('https:') && url.protocol === 'http:') {
    throw redirectRefused(where, status, 'it leads from https to http')
  }
  const isForeign = url.origin !== rules.home
  const shape = checkTarget(url, rules.egress)
  const isLiteral = isForeign && isIP(hostOf(url)) !== 0
  const verdict = shape.allowed && isLiteral ? checkNamedAddress(hostOf(url)) : shape
  if (!verdict.allowed) throw egressDenied(`the redirect target ${url.origin}`, verdict.reason)
  const turnsGet =
    request.method !== 'HEAD' &&
    (status === 303 || (status <= 302 && request.method === 'POST')) &&
    request.method !== 'GET'
  const keepsBody = !turnsGet && request.body !== undefined
  if (keepsBody && isForeign) {
    throw redirectRefused(where, status, 'it would carry the body to another origin')
  }
  if (keepsBody && !rules.canRepeat) {
    throw redirectRefused(where, status, 'the body can be read once only')
  }
  const kept = Object.entries(request.headers).filter(
    ([name]) =>
      (!isForeign || harmlessHeaders.has(name)) && !(turnsGet && name.startsWith('content-')),
  )
  return {
    isForeign,
    request: {
      method: turnsGet ? 'GET' : request.method,
      origin: url.origin,
      isNamed: true,
      path: url.pathname + url.search,
      headers: Object.fromEntries(kept),
      body: keepsBody ? request.body : undefined,
    },
  }
}
