/**
 * Text as a header may carry it: printable ASCII as it is, the rest percent-encoded UTF-8. A lone surrogate, which
 * UTF-8 cannot write, becomes the replacement character.
 *
 * @see CloudEvents HTTP binding 1.0.2, section 3.1.3.2
 */
export function encodeHeader(text: string): string {
  if (/^[!#$&-~]*$/.test(text)) return text
  return text.toWellFormed().replaceAll(/[^!#$&-~]+/gu, (part) =>
    // encodeURIComponent leaves some printable characters alone; none of them is in this class.
    encodeURIComponent(part),
  )
}

/** The text that {@link encodeHeader} wrote; a percent sign that begins no escape stands for itself. */
export function decodeHeader(value: string): string {
  if (!value.includes('%')) return value
  return value.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      return escapes
    }
  })
}

/** JSON in printable ASCII: every other character as an escape of JSON itself, lone surrogates included. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
