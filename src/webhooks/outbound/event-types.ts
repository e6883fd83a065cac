/** Types that the sender itself sends; only patterns that say so begin with it. */
export const ownTypePrefix = 'webhook.'

/** Letters, digits, `_`, `-` and the wildcards, in segments divided by dots. */
const patternGrammar = /^(?:[\w-]+|\*|#)(?:\.(?:[\w-]+|\*|#))*$/

/** Whether a text is a pattern of event types: words with dots, `*` for one, `#` for the rest. */
export function isPattern(text: string): boolean {
  return text.length <= 200 && patternGrammar.test(text)
}

/**
 * True when an event type is one that the pattern means: `*` stands for one segment, `#` for any number of them, none
 * included. `#` alone means all but the sender's own types.
 */
export function matchesType(pattern: string, type: string): boolean {
  if (type.startsWith(ownTypePrefix) && !pattern.startsWith(ownTypePrefix)) return false
  return matches(pattern.split('.'), type.split('.'))
}

/** Row by row over the pattern, so that many `#` cost no more than segments times segments. */
function matches(pattern: readonly string[], type: readonly string[]): boolean {
  let reached = new Set([0])
  for (const segment of pattern) {
    const next = new Set<number>()
    for (const at of reached) {
      if (segment === '#') for (let to = at; to <= type.length; to += 1) next.add(to)
      else if (at < type.length && (segment === '*' || segment === type[at])) next.add(at + 1)
    }
    reached = next
  }
  return reached.has(type.length)
}
