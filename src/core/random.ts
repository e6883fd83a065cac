/** A number in [0, 1). Injected wherever luck matters, so that a test needs none. */
export type Random = () => number

export const systemRandom: Random = Math.random

/**
 * A reproducible source of numbers in [0, 1): the same seed gives the same sequence.
 *
 * @see mulberry32, a 32-bit generator in the public domain; good enough for tests, not for secrets
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
