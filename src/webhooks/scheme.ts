import type { HeaderFields } from './header-fields.ts'
import type { SecretEncoding } from './keys.ts'

/** The schemes that have a name. */
export type SchemeName =
  | 'standard-webhooks'
  | 'svix'
  | 'stripe'
  | 'github'
  | 'slack'
  | 'shopify'
  | 'twilio'
  | 'hubspot-v3'
  | 'discord'

/** An HMAC scheme described as data: covers what providers do with one shared secret. */
export interface HmacScheme {
  readonly kind: 'hmac'
  /** Field that carries the signature. */
  readonly header: string
  /** Text before the signature, such as `sha256=`; in lists before the whole or before each item. */
  readonly prefix?: string
  /** `raw`: the signature alone; `kv`: `t=…,v1=…`; `list`: several signatures. */
  readonly format: 'raw' | 'kv' | 'list'
  /** Between pairs or items. Default a comma. */
  readonly separator?: string
  /** Name of the signature among the pairs of `kv`. Default `v1`. */
  readonly key?: string
  readonly algorithm: 'sha1' | 'sha256' | 'sha512'
  readonly encoding: 'hex' | 'base64'
  readonly secretEncoding: SecretEncoding
  /** What is signed, with `{id}`, `{ts}`, `{body}`, `{method}` and `{url}`. */
  readonly content: string
  readonly id?: { readonly header: string }
  readonly timestamp?: {
    readonly header?: string
    /** Name among the pairs of `kv`. */
    readonly key?: string
    readonly unit: 's' | 'ms'
  }
  /** Default 300. */
  readonly toleranceSeconds?: number
}

/** A provider by name, or a description of what it signs. */
export type Scheme = SchemeName | HmacScheme

/** A request, and who may have signed it. */
export interface VerifyOptions {
  readonly scheme: Scheme
  /** All that are valid now: the new and the old one while a secret is changed. */
  readonly secrets: readonly string[]
  readonly headers: HeaderFields
  /** The bytes as they were received, before anything has parsed them. */
  readonly rawBody: Uint8Array
  /** The URL that the provider called, for the schemes that sign it (twilio, hubspot-v3, `{url}`). */
  readonly url?: string
  /** Default POST. */
  readonly method?: string
  readonly now: Date
  /** Seconds that the timestamp may be off, both ways, inclusive. Default 300, or what the scheme says. */
  readonly toleranceSeconds?: number
}

/** Why a request is not believed. */
export type RefusalReason = 'missing' | 'malformed' | 'stale' | 'mismatch'

/** What {@link verify} found. */
export type Verdict =
  | {
      readonly ok: true
      /** The provider's id of the delivery, the same in each retry; else a hash of the content. */
      readonly id?: string
      /** The lowest position among `secrets` that verifies: tells when an old one is out of use. */
      readonly secretIndex: number
    }
  | { readonly ok: false; readonly reason: RefusalReason }

/** What is signed, and by whom. */
export interface SignOptions {
  readonly scheme: Scheme
  /** Schemes with several signatures get one for each; the others use the first. */
  readonly secrets: readonly string[]
  readonly id: string
  readonly timestamp: Date
  readonly rawBody: Uint8Array
  /** For the schemes that sign it. */
  readonly url?: string
  /** Default POST. */
  readonly method?: string
}

/** Seconds that a timestamp may be off, where nobody says otherwise. */
export const toleranceSecondsDefault = 300

/** A verdict that says no. */
export function refused(reason: RefusalReason): Verdict {
  return { ok: false, reason }
}

/** The timestamp of a request, checked. */
export type TimestampCheck = 'fresh' | 'stale' | 'malformed'

/** Compares in whole seconds where the scheme signs seconds, as the providers' own libraries do. */
export function checkTimestamp(
  text: string,
  unit: 's' | 'ms',
  limit: { readonly now: Date; readonly toleranceSeconds: number },
): TimestampCheck {
  if (!/^\d{1,15}$/.test(text)) return 'malformed'
  const now = limit.now.getTime()
  const apart =
    unit === 's'
      ? Math.abs(Math.floor(now / 1000) - Number(text))
      : Math.abs(now - Number(text)) / 1000
  // Written so that NaN is stale too.
  return apart <= limit.toleranceSeconds ? 'fresh' : 'stale'
}

/** Ids that cannot be told from what stands beside them, or that are two joined into one. */
export function isPlainId(id: string): boolean {
  return id.length <= 256 && /^[\x21-\x7e]+$/.test(id) && !id.includes(',')
}
