import { createHash } from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import { signDiscord, verifyDiscord } from './discord.ts'
import { readField } from './header-fields.ts'
import { signHmac, verifyHmac } from './hmac.ts'
import { hmacPresets, hubspotUrl } from './presets.ts'
import {
  type HmacScheme,
  refused,
  type SignOptions,
  type Verdict,
  type VerifyOptions,
} from './scheme.ts'
import { signStandard, verifyStandard } from './standard.ts'
import { signTwilio, verifyTwilio } from './twilio.ts'

/**
 * Says whether a request was signed by somebody who knows one of the secrets, over the bytes as they
 * were received. Never throws on what the request holds; compares digests in constant time.
 */
export function verify(options: VerifyOptions): Verdict {
  try {
    const verdict = judge(options)
    if (!verdict.ok || verdict.id !== undefined) return verdict
    return { ...verdict, id: idInBody(options) ?? contentHash(options) }
  } catch {
    // Whatever it was, it was not a request that we can vouch for.
    return refused('malformed')
  }
}

/**
 * The headers of a signed request.
 *
 * @throws WEBHOOK_SIGN_INVALID for an id, a secret or a URL that the scheme cannot sign with
 */
export function sign(options: SignOptions): Record<string, string> {
  const { scheme } = options
  if (typeof scheme === 'object') return signHmac(scheme, options)
  switch (scheme) {
    case 'standard-webhooks':
    case 'svix':
      return signStandard(scheme, options)
    case 'twilio':
      return signTwilio(options)
    case 'discord':
      return signDiscord(options)
    case 'hubspot-v3': {
      const { url } = options
      const signed = url === undefined ? options : { ...options, url: hubspotUrl(url) }
      return signHmac(hmacPresets[scheme][0], signed)
    }
    default: {
      const preset = hmacPresets[scheme]?.[0]
      if (preset) return signHmac(preset, options)
      throw new TreatyError('WEBHOOK_SIGN_INVALID', `there is no scheme ${String(scheme)}`, {
        hint: 'Use a scheme that the documentation names, or describe one with kind hmac.',
      })
    }
  }
}

function judge(options: VerifyOptions): Verdict {
  const { scheme } = options
  if (typeof scheme === 'object') return verifyHmac(scheme, options)
  switch (scheme) {
    case 'standard-webhooks':
    case 'svix':
      return verifyStandard(scheme, options)
    case 'twilio':
      return verifyTwilio(options)
    case 'discord':
      return verifyDiscord(options)
    case 'hubspot-v3':
      return options.url === undefined
        ? verifyHmac(hmacPresets[scheme][0], options)
        : verifyHmac(hmacPresets[scheme][0], { ...options, url: hubspotUrl(options.url) })
    default: {
      const presets: readonly HmacScheme[] | undefined = hmacPresets[scheme]
      const present = presets?.find(({ header }) => {
        const field = readField(options.headers, header)
        return !('problem' in field) || field.problem === 'malformed'
      })
      const chosen = present ?? presets?.[0]
      return chosen ? verifyHmac(chosen, options) : refused('malformed')
    }
  }
}

/** Where providers put their id of the delivery when it is not in a header. */
const idMembers: Readonly<Record<string, string>> = {
  stripe: 'id',
  slack: 'event_id',
  'hubspot-v3': 'eventId',
  discord: 'id',
}

function idInBody({ scheme, rawBody }: VerifyOptions): string | undefined {
  const member = typeof scheme === 'string' ? idMembers[scheme] : undefined
  if (member === undefined) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(rawBody).toString('utf8'))
    const id = isJsonObject(value) && Object.hasOwn(value, member) ? value[member] : undefined
    if (typeof id === 'number') return String(id)
    return typeof id === 'string' && id !== '' && id.length <= 256 ? id : undefined
  } catch {
    return undefined
  }
}

/** Not over the timestamp, which is another one in each retry. */
function contentHash({ scheme, rawBody, url }: VerifyOptions): string {
  const hash = createHash('sha256')
  const isUrlSigned =
    scheme === 'twilio' || (typeof scheme === 'object' && scheme.content.includes('{url}'))
  if (isUrlSigned) hash.update(`${url ?? ''}\n`)
  return `sha256-${hash.update(rawBody).digest('hex')}`
}
