const cache = new Map<string, RegExp | null>()
const cacheMax = 5_000

/**
 * The regular expression of a `pattern`: with flag `u` as JSON Schema recommends, without it where
 * it does not parse so. Undefined when it is no regular expression at all. Unanchored.
 */
export function compileRegex(source: string): RegExp | undefined {
  const known = cache.get(source)
  if (known !== undefined) return known ?? undefined
  const compiled = attempt(source, 'u') ?? attempt(source, '')
  if (cache.size >= cacheMax) cache.clear()
  cache.set(source, compiled ?? null)
  return compiled
}

function attempt(source: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(source, flags)
  } catch {
    return undefined
  }
}
