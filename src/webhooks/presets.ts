import type { HmacScheme, SchemeName } from './scheme.ts'

const hexOfSha256 = {
  kind: 'hmac',
  algorithm: 'sha256',
  encoding: 'hex',
  secretEncoding: 'utf8',
} as const

const shopify = {
  ...hexOfSha256,
  header: 'x-shopify-hmac-sha256',
  format: 'raw',
  encoding: 'base64',
  content: '{body}',
  id: { header: 'x-shopify-webhook-id' },
} as const satisfies HmacScheme

/**
 * The named schemes that are an HMAC over a template. Where a provider has two sets of headers, the
 * one whose signature is there counts.
 */
export const hmacPresets = {
  stripe: [
    {
      ...hexOfSha256,
      header: 'stripe-signature',
      format: 'kv',
      content: '{ts}.{body}',
      timestamp: { key: 't', unit: 's' },
    },
  ],
  github: [
    {
      ...hexOfSha256,
      header: 'x-hub-signature-256',
      prefix: 'sha256=',
      format: 'raw',
      content: '{body}',
      id: { header: 'x-github-delivery' },
    },
  ],
  slack: [
    {
      ...hexOfSha256,
      header: 'x-slack-signature',
      prefix: 'v0=',
      format: 'raw',
      content: 'v0:{ts}:{body}',
      timestamp: { header: 'x-slack-request-timestamp', unit: 's' },
    },
  ],
  shopify: [
    shopify,
    { ...shopify, header: 'shopify-hmac-sha256', id: { header: 'shopify-webhook-id' } },
  ],
  'hubspot-v3': [
    {
      ...hexOfSha256,
      header: 'x-hubspot-signature-v3',
      format: 'raw',
      encoding: 'base64',
      content: '{method}{url}{body}{ts}',
      timestamp: { header: 'x-hubspot-request-timestamp', unit: 'ms' },
    },
  ],
} as const satisfies Partial<Record<SchemeName, readonly HmacScheme[]>>

/** The characters that HubSpot signs unescaped in the URL. @see HubSpot, "Validating requests", v3 */
const hubspotEscapes = /%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi

/** The URL in the form that HubSpot signs. */
export function hubspotUrl(url: string): string {
  return url.replace(hubspotEscapes, (escaped) => decodeURIComponent(escaped))
}
