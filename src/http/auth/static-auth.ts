import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { appendQuery } from '../client/url.ts'
import { invalidOption } from '../resilience/policy.ts'
import { type Authenticator, neverRenewed, revealed, type SecretText } from './authenticator.ts'

/** A fixed key in a header or a query parameter. */
export interface ApiKeyAuth {
  readonly type: 'apiKey'
  /** Default `header`. A query ends up in the logs of others: use a header where there is a choice. */
  readonly in?: 'header' | 'query'
  readonly name: string
  readonly value: SecretText
  /** Text before the key, such as `Token `. */
  readonly prefix?: string
}

/** A fixed token in `Authorization: Bearer` (RFC 6750). */
export interface BearerAuth {
  readonly type: 'bearer'
  readonly token: SecretText
}

/** Name and password in `Authorization: Basic` (RFC 7617), as UTF-8. */
export interface BasicAuth {
  readonly type: 'basic'
  readonly user: string
  readonly password: SecretText
}

/** A signature over parts of the request. */
export interface HmacAuth {
  readonly type: 'hmac'
  readonly secret: SecretText
  /** Where the signature goes. */
  readonly header: string
  /** What is signed: text with {method} {path} {timestamp} {nonce} {body} {bodySha256} (hexadecimal). */
  readonly content: string
  /** What the header holds: text with {signature} {keyId} {timestamp} {nonce}; default `{signature}`. */
  readonly format?: string
  readonly keyId?: string
  readonly algorithm?: 'sha1' | 'sha256' | 'sha512'
  readonly encoding?: 'hex' | 'base64'
  readonly secretEncoding?: 'utf8' | 'base64' | 'hex'
  readonly timestamp?: { readonly header?: string; readonly unit?: 's' | 'ms' }
  readonly nonceHeader?: string
}

/** Puts the key where {@link ApiKeyAuth} says. @throws HTTP_OPTIONS_INVALID */
export function apiKeyAuth(options: ApiKeyAuth): Authenticator {
  const value = revealed('auth.value', options.value)
  const text = `${options.prefix ?? ''}${value}`
  if (typeof options.name !== 'string' || options.name === '') {
    throw invalidOption('auth.name is empty', 'Name the header or query parameter of the key.')
  }
  const isHeader = (options.in ?? 'header') === 'header'
  const name = isHeader ? options.name.toLowerCase() : options.name
  return {
    headerNames: isHeader ? [name] : [],
    apply(request) {
      if (isHeader) request.headers[name] = text
      else request.path = appendQuery(request.path, { [name]: text })
    },
    renew: neverRenewed,
    secrets: () => [value],
  }
}

/** Puts the token on every request. @throws HTTP_OPTIONS_INVALID */
export function bearerAuth(options: BearerAuth): Authenticator {
  const value = revealed('auth.token', options.token)
  return fixedHeader('authorization', `Bearer ${value}`, [value])
}

/** Puts name and password on every request. @throws HTTP_OPTIONS_INVALID for a name with a colon */
export function basicAuth(options: BasicAuth): Authenticator {
  const password = revealed('auth.password', options.password)
  if (options.user.includes(':')) {
    throw invalidOption('auth.user holds a colon', 'Basic authentication allows none in the name.')
  }
  const pair = Buffer.from(`${options.user}:${password}`, 'utf8').toString('base64')
  return fixedHeader('authorization', `Basic ${pair}`, [password, pair])
}

function fixedHeader(name: string, text: string, secrets: readonly string[]): Authenticator {
  return {
    headerNames: [name],
    apply(request) {
      request.headers[name] = text
    },
    renew: neverRenewed,
    secrets: () => secrets,
  }
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
}

/** Signs every request anew, with its own time and nonce. @throws HTTP_OPTIONS_INVALID, also for a body that is a stream */
export function hmacAuth(options: HmacAuth, clock: Clock): Authenticator {
  const secret = revealed('auth.secret', options.secret)
  const key = Buffer.from(secret, options.secretEncoding ?? 'utf8')
  const { algorithm = 'sha256', encoding = 'hex', format = '{signature}' } = options
  const header = options.header.toLowerCase()
  const timestampHeader = options.timestamp?.header?.toLowerCase()
  const nonceHeader = options.nonceHeader?.toLowerCase()
  const names = [header, timestampHeader, nonceHeader].filter((name) => name !== undefined)
  return {
    headerNames: names,
    apply(request) {
      const { body = '' } = request
      if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
        throw invalidOption(
          'a streamed body cannot be signed before it is sent',
          'Give the body as text or bytes.',
        )
      }
      const now = options.timestamp?.unit === 'ms' ? clock.now() : Math.floor(clock.now() / 1000)
      const values = {
        method: request.method,
        path: request.path,
        timestamp: String(now),
        nonce: randomUUID(),
        keyId: options.keyId ?? '',
        bodySha256: createHash('sha256').update(body).digest('hex'),
      }
      const signature = signContent(options.content, { values, body, key, algorithm }).toString(
        encoding,
      )
      request.headers[header] = fill(format, { ...values, signature })
      if (timestampHeader !== undefined) request.headers[timestampHeader] = values.timestamp
      if (nonceHeader !== undefined) request.headers[nonceHeader] = values.nonce
    },
    renew: neverRenewed,
    secrets: () => [secret],
  }
}

/** Bodies are signed as bytes, so that what is not UTF-8 is signed as it is sent. */
function signContent(
  content: string,
  facts: {
    readonly values: Readonly<Record<string, string>>
    readonly body: string | Uint8Array
    readonly key: Buffer
    readonly algorithm: string
  },
): Buffer {
  const hmac = createHmac(facts.algorithm, facts.key)
  for (const part of content.split(/(\{body\})/)) {
    if (part === '{body}') hmac.update(facts.body)
    else hmac.update(fill(part, facts.values))
  }
  return hmac.digest()
}
