import { Secret } from '../../core/secret.ts'
import type { WireRequest } from '../client/transport.ts'
import { invalidOption } from '../resilience/policy.ts'
import type { CallScope } from '../resilience/scope.ts'

/** Puts a credential on requests to the client's own origin. */
export interface Authenticator {
  /** Lower-case names of the headers that it sets; a caller may not set them. */
  readonly headerNames: readonly string[]
  /** Adds the credential; waits where a token has to be fetched first. */
  apply(request: WireRequest, scope: CallScope): void | Promise<void>
  /** The request was answered with 401: true when a new credential was fetched and the request is worth sending once more. */
  renew(request: WireRequest, scope: CallScope): Promise<boolean>
  /** What must never be seen in an error. */
  secrets(): readonly string[]
}

/** A secret, by its value or as one that does not print itself. */
export type SecretText = string | Secret

/**
 * The value of a secret setting.
 *
 * @throws HTTP_OPTIONS_INVALID when it is empty or could not be sent in a header
 */
export function revealed(name: string, secret: SecretText | undefined): string {
  const value = secret instanceof Secret ? secret.reveal() : secret
  if (typeof value !== 'string' || value.trim() === '') {
    throw invalidOption(`${name} is empty`, `Give ${name}, such as secret://env/NAME.`)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin another header.
  if (/[\u0000\r\n]/.test(value) && !value.startsWith('-----BEGIN')) {
    throw invalidOption(`${name} holds a line break`, `Give ${name} as one line.`)
  }
  return value
}

/** What never changes needs no renewal. */
export const neverRenewed = () => Promise.resolve(false)
