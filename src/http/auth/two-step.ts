import type { Clock } from '../../core/clock.ts'
import { valueAt } from '../../core/json.ts'
import { Secret } from '../../core/secret.ts'
import type { Store } from '../../store/index.ts'
import { invalidOption } from '../resilience/policy.ts'
import { type Authenticator, revealed, type SecretText } from './authenticator.ts'
import { type TokenFetch, tokenAuth } from './oauth2.ts'
import { CredentialRefused, TokenSource } from './token-source.ts'

/** A token from a request of the neighbour's own making, for those that are not quite OAuth. */
export interface TwoStepAuth {
  readonly type: 'token'
  readonly request: {
    readonly url: string
    /** Default POST. */
    readonly method?: string
    readonly headers?: Readonly<Record<string, SecretText>>
    /** Sent as JSON, or as a form. */
    readonly body?: Readonly<Record<string, SecretText>>
    readonly format?: 'json' | 'form'
  }
  /** Dotted path of the token in the answer; default `access_token`. */
  readonly token?: string
  /** Dotted path of its life in seconds; default `expires_in`. */
  readonly expiresIn?: string
  /** Its life where the answer does not say. */
  readonly ttlMs?: number
  /** Default `Authorization`. */
  readonly header?: string
  /** Default `Bearer `. */
  readonly prefix?: string
  readonly store?: Store
  readonly skewMs?: number
  readonly cooldownMs?: number
}

/** @throws HTTP_OPTIONS_INVALID */
export function twoStepAuth(
  options: TwoStepAuth,
  context: { readonly clock: Clock; readonly fetch: TokenFetch },
): Authenticator {
  const { request, token: tokenPath = 'access_token', expiresIn = 'expires_in' } = options
  const url = URL.parse(request.url)
  if (url === null)
    throw invalidOption('auth.request.url is no URL', 'Give the URL that hands out tokens.')
  const headers = revealAll('auth.request.headers', request.headers)
  const fields = revealAll('auth.request.body', request.body)
  const isForm = request.format === 'form'
  const hidden = [request.headers, request.body].flatMap((each) =>
    Object.values(each ?? {}).map((value) => (value instanceof Secret ? value.reveal() : value)),
  )
  const { clock } = context
  const source = new TokenSource({
    name: `token of ${url.origin}${url.pathname}`,
    secrets: hidden,
    clock,
    store: options.store,
    ...(options.skewMs === undefined ? {} : { skewMs: options.skewMs }),
    ...(options.cooldownMs === undefined ? {} : { cooldownMs: options.cooldownMs }),
    async fetch() {
      const contentType = isForm ? 'application/x-www-form-urlencoded' : 'application/json'
      const response = await context.fetch(request.url, {
        method: request.method ?? 'POST',
        headers: { accept: 'application/json', 'content-type': contentType, ...headers },
        body:
          request.body === undefined
            ? undefined
            : isForm
              ? new URLSearchParams(fields).toString()
              : JSON.stringify(fields),
      })
      if (response.status === 401 || response.status === 403) {
        throw new CredentialRefused(`the token request was answered with ${response.status}`)
      }
      if (!response.ok) throw new Error(`the token request was answered with ${response.status}`)
      const answer: unknown = await response.json().catch(() => undefined)
      const value = valueAt(answer, tokenPath)
      if (typeof value !== 'string' || value === '') {
        throw new Error(`the answer has no token at ${tokenPath}`)
      }
      const seconds = Number(valueAt(answer, expiresIn))
      const lifeMs = seconds > 0 ? seconds * 1000 : options.ttlMs
      return {
        value,
        expiresAt: lifeMs === undefined ? undefined : clock.now() + lifeMs,
        refreshToken: undefined,
      }
    },
  })
  const place = {
    header: (options.header ?? 'authorization').toLowerCase(),
    prefix: options.prefix ?? 'Bearer ',
  }
  return tokenAuth(source, place, () => source.secrets())
}

function revealAll(
  name: string,
  values: Readonly<Record<string, SecretText>> | undefined,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([key, value]) => [key, revealed(`${name}.${key}`, value)]),
  )
}
