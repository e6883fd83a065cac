import type { Random } from '../../core/random.ts'
import { seededRandom } from '../../core/random.ts'

/** Choices from one source of luck. */
export interface Dice {
  readonly random: Random
  /** True with this probability. */
  chance(probability: number): boolean
  /** A whole number between both, inclusive. */
  between(min: number, max: number): number
  /** One of the items; undefined of none. */
  pick<T>(items: readonly T[]): T | undefined
  shuffle<T>(items: readonly T[]): T[]
}

export function dice(random: Random): Dice {
  const between = (min: number, max: number) => min + Math.floor(random() * (max - min + 1))
  return {
    random,
    between,
    chance: (probability) => random() < probability,
    pick: (items) => items[Math.floor(random() * items.length)],
    shuffle(items) {
      const copy = [...items]
      for (let at = copy.length - 1; at > 0; at -= 1) {
        const other = between(0, at)
        const moved = copy[at] as (typeof copy)[number]
        copy[at] = copy[other] as (typeof copy)[number]
        copy[other] = moved
      }
      return copy
    },
  }
}

/** A seed made of a seed and a name (FNV-1a): every place of a value has luck of its own. */
export function deriveSeed(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let at = 0; at < name.length; at += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0
  }
  // One more round: names that differ in their last letter alone should not give neighbours.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
  return (hash ^ (hash >>> 12)) >>> 0
}

export function diceOf(seed: number): Dice {
  return dice(seededRandom(seed))
}
