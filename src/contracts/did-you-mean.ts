/**
 * Number of insertions, deletions, substitutions and swaps of neighbours between two words
 * (optimal string alignment), or `max + 1` as soon as it is certain to exceed `max`.
 */
export function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    let least = row
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      let distance = Math.min(
        (previous[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (previous[column - 1] as number) + cost,
      )
      const isSwap =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (isSwap) distance = Math.min(distance, (before[column - 2] as number) + 1)
      current.push(distance)
      least = Math.min(least, distance)
    }
    if (least > max) return max + 1
    before = previous
    previous = current
  }
  return Math.min(previous[b.length] as number, max + 1)
}

/** The candidate nearest to `word`, at most two edits away, case aside; undefined when none is. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.min(2, Math.max(1, word.length - 2)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), 2)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** A hint for a name that is not among `candidates`: the nearest one, else the list while it is short. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const known = [...candidates]
  const found = nearest(word, known)
  if (found !== undefined) return `did you mean \`${found}\`?`
  if (known.length === 0) return undefined
  const shown = known.length < 8 ? known : known.slice(0, 8)
  const rest = known.length > shown.length ? ', …' : ''
  return `use one of ${shown.map((name) => `\`${name}\``).join(', ')}${rest}`
}
