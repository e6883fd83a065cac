import type { Clock } from '../../core/clock.ts'
import { invalidOption } from '../resilience/policy.ts'
import type { Authenticator } from './authenticator.ts'
import { type OAuth2Auth, oauth2Auth, type TokenFetch } from './oauth2.ts'
import {
  type ApiKeyAuth,
  apiKeyAuth,
  type BasicAuth,
  type BearerAuth,
  basicAuth,
  bearerAuth,
  type HmacAuth,
  hmacAuth,
} from './static-auth.ts'
import { type TwoStepAuth, twoStepAuth } from './two-step.ts'

/** How a client proves itself. An {@link Authenticator} of your own is taken too. Mutual TLS is the client's `tls`. */
export type Auth =
  | ApiKeyAuth
  | BearerAuth
  | BasicAuth
  | OAuth2Auth
  | TwoStepAuth
  | HmacAuth
  | Authenticator

/** @throws HTTP_OPTIONS_INVALID */
export function createAuthenticator(
  auth: Auth,
  context: { readonly clock: Clock; readonly fetch: TokenFetch },
): Authenticator {
  if (!('type' in auth)) return auth
  switch (auth.type) {
    case 'apiKey':
      return apiKeyAuth(auth)
    case 'bearer':
      return bearerAuth(auth)
    case 'basic':
      return basicAuth(auth)
    case 'oauth2':
      return oauth2Auth(auth, context)
    case 'token':
      return twoStepAuth(auth, context)
    case 'hmac':
      return hmacAuth(auth, context.clock)
    default:
      throw invalidOption(
        `auth.type ${JSON.stringify((auth as { type: unknown }).type)} is unknown`,
        'Use apiKey, bearer, basic, oauth2, token or hmac; mutual TLS goes into tls.',
      )
  }
}
