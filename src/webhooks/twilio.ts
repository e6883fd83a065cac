import { createHash } from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import { readField } from './header-fields.ts'
import { isEqual } from './hmac.ts'
import { base64Bytes, type HmacKey, hexBytes, hmacKey, hmacWith } from './keys.ts'
import { refused, type SignOptions, type Verdict, type VerifyOptions } from './scheme.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })
const bodyHashParameter = 'bodySHA256'

/**
 * HMAC-SHA1 over the public URL and the sorted form parameters; for other bodies over the URL, whose
 * parameter `bodySHA256` then holds the hash of the body. @see Twilio, "Webhooks Security"
 */
export function verifyTwilio(options: VerifyOptions): Verdict {
  const field = readField(options.headers, 'x-twilio-signature')
  if ('problem' in field) return refused(field.problem)
  if (options.url === undefined) return refused('missing')
  const signature = base64Bytes(field.value.trim())
  if (signature?.length !== 20) return refused('malformed')
  const contents = contentsOf(options.url, options.rawBody)
  if (contents === undefined) return refused('malformed')
  const secretIndex = options.secrets.findIndex((secret) => {
    const key = hmacKey(secret, 'utf8')
    return key !== undefined && contents.some((content) => isEqual(signature, hmacOf(key, content)))
  })
  if (secretIndex < 0) return refused('mismatch')
  const id = readField(options.headers, 'i-twilio-idempotency-token')
  return 'value' in id ? { ok: true, id: id.value, secretIndex } : { ok: true, secretIndex }
}

/** @throws WEBHOOK_SIGN_INVALID */
export function signTwilio(options: SignOptions): Record<string, string> {
  const [secret = ''] = options.secrets
  const key = hmacKey(secret, 'utf8')
  const params = paramsOf(options.url ?? '', options.rawBody)
  if (options.url === undefined || key === undefined || params === undefined) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'the request cannot be signed as Twilio does', {
      hint: 'Give url, an auth token, and a form or the parameter bodySHA256 in the URL.',
    })
  }
  return { 'x-twilio-signature': hmacOf(key, options.url + params).toString('base64') }
}

function hmacOf(key: HmacKey, content: string): Buffer {
  return hmacWith('sha1', key).update(content, 'utf8').digest()
}

/** Twilio signs the URL with or without its standard port, as it likes. */
function contentsOf(url: string, body: Uint8Array): readonly string[] | undefined {
  const params = paramsOf(url, body)
  if (params === undefined) return undefined
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*?)(:\d+)?(?=[/?#]|$)/i.exec(url)
  if (!match) return [url + params]
  const [whole, scheme = '', host = '', port] = match
  const rest = url.slice(whole.length)
  const standard = scheme.toLowerCase() === 'https://' ? ':443' : ':80'
  const bare = scheme + host + rest + params
  return port === undefined
    ? [bare, scheme + host + standard + rest + params]
    : [url + params, bare]
}

/** The signed text of the body; undefined where the body is not what the URL says. */
function paramsOf(url: string, body: Uint8Array): string | undefined {
  const query = url.includes('?') ? url.slice(url.indexOf('?') + 1).split('#')[0] : ''
  const hash = new URLSearchParams(query).get(bodyHashParameter)
  if (hash !== null) {
    const given = hexBytes(hash)
    const actual = createHash('sha256').update(body).digest()
    return given !== undefined && isEqual(given, actual) ? '' : undefined
  }
  if (body.length === 0) return ''
  try {
    return sortedForm(utf8.decode(body))
  } catch {
    return undefined
  }
}

/** Names in order, each with its distinct values in order. */
function sortedForm(text: string): string {
  const form = new URLSearchParams(text)
  const names = [...new Set(form.keys())].sort()
  return names
    .map((name) =>
      [...new Set(form.getAll(name))]
        .sort()
        .map((value) => name + value)
        .join(''),
    )
    .join('')
}
