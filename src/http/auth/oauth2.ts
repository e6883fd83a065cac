import { importPKCS8, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import type { Clock } from '../../core/clock.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Store } from '../../store/index.ts'
import { invalidOption } from '../resilience/policy.ts'
import { type Authenticator, revealed, type SecretText } from './authenticator.ts'
import { CredentialRefused, type Token, TokenSource } from './token-source.ts'

interface Common {
  readonly type: 'oauth2'
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret?: SecretText
  /** How the client proves itself; default `basic`, `none` without a secret. */
  readonly clientAuth?: 'basic' | 'body' | 'private_key_jwt' | 'none'
  /** PEM (PKCS #8), for `private_key_jwt` and for the grant `jwt_bearer`. */
  readonly privateKey?: SecretText
  readonly keyId?: string
  /** Default `RS256`. */
  readonly algorithm?: string
  readonly scope?: string | readonly string[]
  readonly audience?: string
  /** Further parameters of the token request. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Shares tokens between processes. */
  readonly store?: Store
  readonly skewMs?: number
  readonly cooldownMs?: number
}

/** OAuth 2.0 (RFC 6749, RFC 7523). */
export type OAuth2Auth = Common &
  (
    | { readonly grant: 'client_credentials' }
    | { readonly grant: 'refresh_token'; readonly refreshToken: SecretText }
    | { readonly grant: 'jwt_bearer'; readonly subject?: string; readonly issuer?: string }
  )

/** Sends a token request, bounded and guarded as every call of the client. */
export type TokenFetch = (
  url: string,
  request: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body: string | undefined
  },
) => Promise<Response>

interface Facts {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly auth: oauth.ClientAuth
  readonly request: oauth.TokenEndpointRequestOptions
  readonly parameters: URLSearchParams
}

const assertionSeconds = 300

async function importKey(options: OAuth2Auth): Promise<Awaited<ReturnType<typeof importPKCS8>>> {
  const pem = revealed('auth.privateKey', options.privateKey)
  try {
    return await importPKCS8(pem, options.algorithm ?? 'RS256')
  } catch {
    throw invalidOption(
      'auth.privateKey is no PKCS #8 key for its algorithm',
      'Give a PEM that begins with BEGIN PRIVATE KEY.',
    )
  }
}

async function clientAuthOf(options: OAuth2Auth): Promise<oauth.ClientAuth> {
  const kind = options.clientAuth ?? (options.clientSecret === undefined ? 'none' : 'basic')
  if (kind === 'none') return oauth.None()
  if (kind === 'private_key_jwt') {
    const key = await importKey(options)
    return oauth.PrivateKeyJwt(options.keyId === undefined ? key : { key, kid: options.keyId })
  }
  const secret = revealed('auth.clientSecret', options.clientSecret)
  return kind === 'basic' ? oauth.ClientSecretBasic(secret) : oauth.ClientSecretPost(secret)
}

function parametersOf(options: OAuth2Auth): URLSearchParams {
  const parameters = new URLSearchParams(options.parameters)
  const { scope, audience } = options
  if (scope !== undefined)
    parameters.set('scope', typeof scope === 'string' ? scope : scope.join(' '))
  if (audience !== undefined) parameters.set('audience', audience)
  return parameters
}

async function assertion(
  options: OAuth2Auth & { readonly grant: 'jwt_bearer' },
  clock: Clock,
): Promise<string> {
  const issuedAt = Math.floor(clock.now() / 1000)
  const { scope } = options
  const claims =
    scope === undefined ? {} : { scope: typeof scope === 'string' ? scope : scope.join(' ') }
  const token = new SignJWT(claims)
    .setProtectedHeader({
      alg: options.algorithm ?? 'RS256',
      ...(options.keyId === undefined ? {} : { kid: options.keyId }),
    })
    .setIssuer(options.issuer ?? options.clientId)
    .setSubject(options.subject ?? options.clientId)
    .setAudience(options.audience ?? options.tokenUrl)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + assertionSeconds)
  return await token.sign(await importKey(options))
}

async function ask(
  options: OAuth2Auth,
  facts: Facts,
  context: { readonly clock: Clock; readonly last: Token | undefined },
): Promise<oauth.TokenEndpointResponse> {
  const { server, client, auth, request, parameters } = facts
  if (options.grant === 'client_credentials') {
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      auth,
      parameters,
      request,
    )
    return await oauth.processClientCredentialsResponse(server, client, response)
  }
  if (options.grant === 'refresh_token') {
    const refreshToken =
      context.last?.refreshToken ?? revealed('auth.refreshToken', options.refreshToken)
    const additional = { ...request, additionalParameters: parameters }
    const response = await oauth.refreshTokenGrantRequest(
      server,
      client,
      auth,
      refreshToken,
      additional,
    )
    return await oauth.processRefreshTokenResponse(server, client, response)
  }
  parameters.set('assertion', await assertion(options, context.clock))
  const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  const response = await oauth.genericTokenEndpointRequest(
    server,
    client,
    auth,
    grant,
    parameters,
    request,
  )
  return await oauth.processGenericTokenEndpointResponse(server, client, response)
}

/** What the endpoint said, without its body: that may hold tokens. */
function plainError(error: unknown): Error {
  if (error instanceof oauth.ResponseBodyError) {
    const message = `the token endpoint answered ${error.status} ${error.error}`
    return error.error === 'invalid_grant' ? new CredentialRefused(message) : new Error(message)
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return new Error(`the token endpoint answered ${error.status}`)
  }
  return new Error(errorMessage(error))
}

/**
 * Fetches and renews access tokens; one request however many calls wait, also between processes where a store is given.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function oauth2Auth(
  options: OAuth2Auth,
  context: { readonly clock: Clock; readonly fetch: TokenFetch },
): Authenticator {
  const url = URL.parse(options.tokenUrl)
  if (url === null)
    throw invalidOption('auth.tokenUrl is no URL', 'Give the URL of the token endpoint.')
  if (typeof options.clientId !== 'string' || options.clientId === '') {
    throw invalidOption('auth.clientId is empty', 'Give the id of the client.')
  }
  const { clock } = context
  const secrets = [
    options.clientSecret,
    options.privateKey,
    'refreshToken' in options ? options.refreshToken : undefined,
  ]
    .filter((each) => each !== undefined)
    .map((each) => revealed('a secret of auth', each))
  const request: oauth.TokenEndpointRequestOptions = {
    [oauth.customFetch]: (target, { method, headers, body }) =>
      context.fetch(target, {
        method,
        headers,
        body: body === undefined ? undefined : String(body),
      }),
    // Whether plain http may be called is for the egress rules to say.
    [oauth.allowInsecureRequests]: true,
  }
  const source = new TokenSource({
    name: `${options.clientId} at ${url.origin}${url.pathname} (${options.grant}, ${String(options.scope ?? '')})`,
    secrets: [options.clientId, ...secrets],
    clock,
    store: options.store,
    ...(options.skewMs === undefined ? {} : { skewMs: options.skewMs }),
    ...(options.cooldownMs === undefined ? {} : { cooldownMs: options.cooldownMs }),
    async fetch(last) {
      const server = { issuer: url.origin, token_endpoint: options.tokenUrl }
      const client = { client_id: options.clientId }
      const auth = await clientAuthOf(options)
      const facts = { server, client, auth, request, parameters: parametersOf(options) }
      const answer = await ask(options, facts, { clock, last }).catch((error: unknown) => {
        throw plainError(error)
      })
      return {
        value: answer.access_token,
        expiresAt:
          answer.expires_in === undefined ? undefined : clock.now() + answer.expires_in * 1000,
        refreshToken: answer.refresh_token ?? last?.refreshToken,
      }
    },
  })
  return tokenAuth(source, { header: 'authorization', prefix: 'Bearer ' }, () =>
    source.secrets().filter((each) => each !== options.clientId),
  )
}

/** Puts a source's token on requests, and a new one after a 401. */
export function tokenAuth(
  source: TokenSource,
  place: { readonly header: string; readonly prefix: string },
  secrets: () => readonly string[],
): Authenticator {
  const put = (request: { headers: Record<string, string> }, token: Token) => {
    request.headers[place.header] = `${place.prefix}${token.value}`
  }
  return {
    headerNames: [place.header],
    apply(request) {
      const token = source.get()
      if (!(token instanceof Promise)) {
        put(request, token)
        return undefined
      }
      return token.then((fetched) => put(request, fetched))
    },
    async renew(request) {
      const refused = request.headers[place.header]?.slice(place.prefix.length) ?? ''
      put(request, await source.renew(refused))
      return true
    },
    secrets,
  }
}
