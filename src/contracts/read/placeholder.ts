const wholePatterns = [
  /^$/,
  /^[.…\s]+$/,
  /^\[.*\]$/s,
  /^<.*>$/s,
  /^\{\{.*\}\}$/s,
  /^\$\{.*\}$/s,
  /^(?:tbd|todo|fixme|xxx|n\/a|none|placeholder|description|purpose|-+|\?+)[.!:]*$/i,
  /^lorem ipsum/i,
]
const placeholderParts = [/\[(?:\.{2,}|…)\]/, /\b(?:TBD|TODO|FIXME)\b/, /\$\{input:/]

/** True for a placeholder, a text that says nothing: empty, an ellipsis, a bracketed prompt, TBD, TODO. */
export function isPlaceholder(text: string): boolean {
  const trimmed = text.trim()
  return (
    wholePatterns.some((pattern) => pattern.test(trimmed)) ||
    placeholderParts.some((pattern) => pattern.test(trimmed))
  )
}

const unwritten = /^(?:\.{3}|…|\[(?:\.{3}|…)\]|(?:TBD|TODO|FIXME)[.!:]*)$/

/** True for a value that was left to be written. Stricter than {@link isPlaceholder}: data may well be empty, or in brackets. */
export function isUnwritten(text: string): boolean {
  return unwritten.test(text.trim())
}
