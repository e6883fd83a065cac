/** Edit distance with adjacent transpositions (optimal string alignment), given up above `max`. */
export function editDistance(source: string, target: string, max: number): number {
  if (Math.abs(source.length - target.length) > max) return max + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: target.length + 1 }, (_, at) => at)
  for (let row = 1; row <= source.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= target.length; column += 1) {
      const same = source[row - 1] === target[column - 1]
      let best = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped =
        row > 1 &&
        column > 1 &&
        source[row - 1] === target[column - 2] &&
        source[row - 2] === target[column - 1]
      if (swapped) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1)
      current.push(best)
    }
    if (Math.min(...current) > max) return max + 1
    beforeLast = last
    last = current
  }
  return last[target.length] ?? max + 1
}

/**
 * The candidate nearest to a mistyped name, at most two edits away; undefined when none is that near. Of equally near ones
 * the first that begins with what was typed, else the first.
 */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = 3
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate, 2)
    const completes = candidate.startsWith(name) && best?.startsWith(name) !== true
    if (distance < bestDistance || (distance === bestDistance && distance < 3 && completes)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}
