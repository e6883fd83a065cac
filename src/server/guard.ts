import { isIP } from 'node:net'
import { TreatyError } from '../core/errors.ts'
import type { KeyRing, KeyScope } from './keys.ts'

/** What a route asks for. `open`: nothing, also where keys are configured. */
export type RouteAccess = KeyScope | 'open'

/** What a request says of itself, as far as access is decided by it. */
export interface Presented {
  readonly method: string
  readonly host: string | undefined
  readonly origin: string | undefined
  /** `Sec-Fetch-Site`, which pages cannot forge. @see W3C Fetch Metadata */
  readonly fetchSite: string | undefined
  readonly authorization: string | undefined
  readonly apiKey: string | undefined
}

export interface GuardOptions {
  /** The address that the server listens on. */
  readonly host: string
  /** Further names under which the server may be called, without ports. */
  readonly allowedHosts: readonly string[]
  readonly keys: KeyRing
}

/** Decides whether a request may go on; pure, so that each rule is tested without a socket. */
export interface Guard {
  /**
   * `programs`: also takes what no page can send, without a key, so that programs which know nothing of keys or origins can
   * call. Pages always name themselves: by `Origin` or `Sec-Fetch-Site`.
   *
   * @throws HOST_REFUSED · ORIGIN_REFUSED · UNAUTHENTICATED · SCOPE_MISSING
   * @returns The name of the key, where one was used.
   */
  admit(
    presented: Presented,
    access: RouteAccess,
    options?: { programs?: boolean },
  ): string | undefined
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '::1'])
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** True for an address that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** Host and port of a `Host` header or of an origin; undefined when it is neither. */
function parseAuthority(text: string): { name: string; port: string } | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(text)
  if (!match?.[1]) return undefined
  return { name: match[1].toLowerCase().replace(/^\[|\]$/g, ''), port: match[2] ?? '' }
}

export function createGuard(options: GuardOptions): Guard {
  const names = new Set([...options.allowedHosts.map((name) => name.toLowerCase()), options.host])
  const isLocal = isLoopback(options.host)

  function checkHost(host: string | undefined): void {
    const authority = host === undefined ? undefined : parseAuthority(host)
    // A page can only rebind a name. An address in the header was typed by whoever called.
    const isAddress = authority !== undefined && isIP(authority.name) !== 0 && !isLocal
    if (
      authority &&
      (loopbackNames.has(authority.name) || names.has(authority.name) || isAddress)
    ) {
      return
    }
    throw new TreatyError(
      'HOST_REFUSED',
      'the Host header names a host that this server does not answer for',
      {
        hint: 'Call the address that the server printed, or list the name under server.allowedHosts.',
      },
    )
  }

  function isSameOrigin(presented: Presented): boolean {
    if (presented.origin === undefined) return presented.fetchSite === 'same-origin'
    const match = /^https?:\/\/(.+)$/.exec(presented.origin)
    return match?.[1]?.toLowerCase() === presented.host?.toLowerCase()
  }

  function checkOrigin(presented: Presented, mayChange: boolean): void {
    const isForeignPage = presented.origin !== undefined && !isSameOrigin(presented)
    const changesState = !safeMethods.has(presented.method)
    if (!isForeignPage && (!changesState || mayChange || isSameOrigin(presented))) return
    throw new TreatyError(
      'ORIGIN_REFUSED',
      isForeignPage
        ? 'the request comes from a page of another origin'
        : 'the request changes state, and neither carries a key nor comes from a page of this server',
    )
  }

  return {
    admit(presented, access, { programs = false } = {}) {
      checkHost(presented.host)
      const text = presentedKey(presented)
      const known = text === undefined ? undefined : options.keys.find(text)
      if (text !== undefined && options.keys.size > 0 && !known && access !== 'open') {
        throw new TreatyError('UNAUTHENTICATED', 'the API key is not known')
      }
      const isProgram =
        programs && presented.origin === undefined && presented.fetchSite === undefined
      checkOrigin(presented, known !== undefined || isProgram)
      if (access === 'open' || options.keys.size === 0) return known?.name
      if (!known) throw new TreatyError('UNAUTHENTICATED', 'this needs an API key')
      if (!known.scopes.has(access)) {
        throw new TreatyError(
          'SCOPE_MISSING',
          `the API key \`${known.name}\` lacks the scope \`${access}\``,
          {
            details: { key: known.name, scope: access },
          },
        )
      }
      return known.name
    },
  }
}

function presentedKey(presented: Presented): string | undefined {
  if (presented.apiKey) return presented.apiKey
  const [, scheme, text = ''] = /^(Bearer|Basic) +(\S+)$/i.exec(presented.authorization ?? '') ?? []
  if (scheme?.toLowerCase() !== 'basic') return scheme === undefined ? undefined : text
  // Clients of schema registries know user and password: the key is the password.
  const pair = Buffer.from(text, 'base64').toString('utf8')
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined
}
