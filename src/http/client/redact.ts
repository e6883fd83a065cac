const mask = '***'
/** Shorter texts would mask half of every message. */
const secretLengthMin = 4
const excerptSource = 4096
const excerptLength = 512

const sensitiveFields =
  /("?(?:access_?token|refresh_?token|id_?token|token|client_?secret|secret|password|passwd|api_?-?key|authorization|assertion|cookie|signature)"?\s*[:=]\s*)("(?:\\.|[^"\\])*"?|[^\s,;&}\]"']+)/gi
const schemes = /\b(Bearer|Basic|Token|Digest)\s+[\w.~+/=:-]{4,}/gi
const webTokens = /\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g

/** The forms in which a secret may come back: as it is, in JSON, in a URL, in Base64. */
function formsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1)
  const forms = [
    secret,
    json,
    encodeURIComponent(secret),
    new URLSearchParams([['', secret]]).toString().slice(1),
  ]
  forms.push(Buffer.from(secret).toString('base64').replace(/=+$/, ''))
  return forms
}

/** A text without the secrets known, and without what looks like one. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) {
    if (secret.length < secretLengthMin) continue
    for (const form of formsOf(secret)) clean = clean.replaceAll(form, mask)
  }
  return clean
    .replaceAll(schemes, `$1 ${mask}`)
    .replaceAll(webTokens, mask)
    .replaceAll(sensitiveFields, `$1${mask}`)
}

/** The beginning of a body, fit for an error: short, masked, without control characters. */
export function excerptOf(body: Uint8Array, secrets: readonly string[]): string {
  const text = Buffer.from(body.subarray(0, excerptSource)).toString('utf8')
  // Masked before it is cut, so that no secret is cut in two and half of it stays.
  const clean = redact(text, secrets)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals obey them.
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ')
  return clean.length > excerptLength ? `${clean.slice(0, excerptLength)}…` : clean
}
