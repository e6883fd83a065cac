/**
 * Lane of a key: FNV-1a over its UTF-8 bytes (Fowler, Noll, Vo), mixed once more because the low bits of short keys alone are
 * uneven. The same in every process and release: messages of one key must meet in one lane.
 */
export function laneOf(key: string, lanes: number): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at += 1) {
    const code = key.charCodeAt(at)
    if (code > 0x7f) {
      // What is ASCII so far is its own UTF-8.
      for (const byte of Buffer.from(key.slice(at))) hash = Math.imul(hash ^ byte, 0x01000193)
      break
    }
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return ((hash ^ (hash >>> 16)) >>> 0) % lanes
}

/** How many of `lanes` the member owns: each the same number, the first by name one more where it does not come out even. */
export function shareOf(lanes: number, members: readonly string[], self: string): number {
  const rank = [...members].sort().indexOf(self)
  if (rank === -1) return 0
  return Math.floor(lanes / members.length) + (rank < lanes % members.length ? 1 : 0)
}
