import { scalarKey } from '../formula/canonical.ts'
import { FRACTION } from '../formula/store.ts'
import {
  add,
  compare,
  floor,
  fromNumber,
  isMultiple,
  lcm,
  multiply,
  type Rational,
  rational,
  toNumber,
} from '../rational.ts'
import type { Budget } from './budget.ts'
import { EMPTY, found, type Inhabiting, type Result, type Signed } from './result.ts'

interface Bound {
  readonly q: Rational
  readonly open: boolean
}

interface Range {
  low: Bound | undefined
  high: Bound | undefined
  /** The value is a multiple of these, and of none of those. */
  steps: Rational[]
  never: Rational[]
}

const one = rational(1n)
const plainMax = 200_000
const candidatesMax = 20_000n
const precisionMax = 17

/** A whole number (or one with a fraction, by `type`) that satisfies the atoms. */
export function solveNumber(
  context: Inhabiting & { readonly budget: Budget },
  type: number,
  atoms: readonly Signed[],
  excluded: ReadonlySet<string>,
): Result {
  const range = rangeOf(atoms)
  if (type === FRACTION) range.never.push(one)
  else range.steps.push(one)
  if (isEmpty(range)) return EMPTY
  const plain = solvePlain(context.budget, range, excluded)
  if (plain !== undefined) return plain
  const fits = (q: Rational): boolean =>
    within(range, q) &&
    range.steps.every((step) => isMultiple(q, step)) &&
    !range.never.some((step) => isMultiple(q, step))
  const accept = (q: Rational): Result | undefined => {
    context.budget.tick(4)
    if (!fits(q)) return undefined
    const value = toNumber(q)
    if (value === undefined) return undefined
    return excluded.has(scalarKey(value)) ? undefined : found(value)
  }
  const doubt = () => context.doubt(atoms[0]?.lit, 'the numbers left have no exact double')
  const step = range.steps.length === 0 ? undefined : range.steps.reduce(lcm)
  if (step === undefined)
    return (
      solveDense(range, accept) ??
      (isPoint(range) && pointFails(range, fits, excluded) ? EMPTY : doubt())
    )
  if (range.never.some((other) => isMultiple(step, other))) return EMPTY
  return (
    solveStepped(range, step, { accept, fits, excluded: BigInt(excluded.size) }) ??
    neighbours(range, accept) ??
    doubt()
  )
}

const safe = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * Whole numbers with whole steps inside a range of doubles that hold them all, without fractions:
 * nearly every question about integers. Undefined where this does not apply or takes too long.
 */
function solvePlain(
  budget: Budget,
  { low, high, steps, never }: Range,
  excluded: ReadonlySet<string>,
): Result | undefined {
  const isWhole = ({ n, d }: Rational) => d === 1n && n <= safe
  if (steps.length === 0 || ![...steps, ...never].every(isWhole)) return undefined
  const whole = steps.reduce(lcm)
  if (!isWhole(whole)) return undefined
  const step = Number(whole.n)
  const from = low === undefined ? undefined : firstAbove(low, step)
  const to =
    high === undefined
      ? undefined
      : -firstAbove({ q: multiply(high.q, rational(-1n)), open: high.open }, step)
  if (from !== undefined && to !== undefined && from > to) return EMPTY
  const start = from !== undefined && from > 0 ? from : to !== undefined && to < 0 ? to : 0
  const others = never.map(({ n }) => Number(n))
  for (let count = 0; count < plainMax; count += 1) {
    const up = start + count * step
    const down = start - count * step
    const isPast = to !== undefined && up > to && from !== undefined && down < from
    if (isPast) return EMPTY
    if (up > Number.MAX_SAFE_INTEGER || down < -Number.MAX_SAFE_INTEGER) return undefined
    budget.tick()
    for (const value of up === down ? [up] : [up, down]) {
      const isInside = (from === undefined || value >= from) && (to === undefined || value <= to)
      if (!isInside || others.some((other) => value % other === 0)) continue
      if (!excluded.has(scalarKey(value))) return found(value === 0 ? 0 : value)
    }
  }
  return undefined
}

/** The least multiple of a whole step that is not below the bound. */
function firstAbove({ q, open }: Bound, step: number): number {
  const below = floor(rational(q.n, q.d * BigInt(step)))
  const least = below * BigInt(step)
  const isBelow = compare(rational(least), q) < (open ? 1 : 0)
  return Number(isBelow ? least + BigInt(step) : least)
}

function rangeOf(atoms: readonly Signed[]): Range {
  const range: Range = { low: undefined, high: undefined, steps: [], never: [] }
  for (const { atom, negative } of atoms) {
    if (atom.op === 'mul') (negative ? range.never : range.steps).push(atom.q)
    else if (atom.op === 'min' || atom.op === 'max') {
      const bound = { q: atom.q, open: atom.open !== negative }
      if ((atom.op === 'min') !== negative) range.low = tighter(range.low, bound, 1)
      else range.high = tighter(range.high, bound, -1)
    }
  }
  return range
}

function tighter(a: Bound | undefined, b: Bound, direction: number): Bound {
  if (a === undefined) return b
  const order = compare(a.q, b.q) * direction
  return order > 0 || (order === 0 && a.open) ? a : b
}

function isEmpty({ low, high }: Range): boolean {
  if (low === undefined || high === undefined) return false
  const order = compare(low.q, high.q)
  return order > 0 || (order === 0 && (low.open || high.open))
}

const isPoint = ({ low, high }: Range): boolean =>
  low !== undefined && high !== undefined && compare(low.q, high.q) === 0

/** The only number there is does not fit, or is excluded. */
function pointFails(
  { low }: Range,
  fits: (q: Rational) => boolean,
  excluded: ReadonlySet<string>,
): boolean {
  const { q } = low as Bound
  const value = toNumber(q)
  return !fits(q) || (value !== undefined && excluded.has(scalarKey(value)))
}

function within({ low, high }: Range, q: Rational): boolean {
  if (low !== undefined && compare(q, low.q) < (low.open ? 1 : 0)) return false
  return high === undefined || compare(q, high.q) <= (high.open ? -1 : 0)
}

/** Multiples of the step, from the one nearest to zero outwards; empty after a whole period without one that fits. */
function solveStepped(
  range: Range,
  step: Rational,
  {
    accept,
    fits,
    excluded,
  }: {
    accept: (q: Rational) => Result | undefined
    fits: (q: Rational) => boolean
    excluded: bigint
  },
): Result | undefined {
  const times = (k: bigint): Rational => multiply(step, rational(k))
  const quotient = (q: Rational): bigint => floor(rational(q.n * step.d, q.d * step.n))
  const first =
    range.low === undefined
      ? undefined
      : edge(quotient(range.low.q) - 1n, 1n, (k) => within({ ...range, high: undefined }, times(k)))
  const last =
    range.high === undefined
      ? undefined
      : edge(quotient(range.high.q) + 1n, -1n, (k) =>
          within({ ...range, low: undefined }, times(k)),
        )
  if (first !== undefined && last !== undefined && first > last) return EMPTY
  const whole = range.never.reduce(lcm, step)
  const period = quotient(whole)
  const from =
    first !== undefined && first > 0n ? first : last !== undefined && last < 0n ? last : 0n
  const span = first !== undefined && last !== undefined ? last - first + 1n : undefined
  const direction = from < 0n || (from === 0n && last === 0n) ? -1n : 1n
  let unrepresentable = false
  let fitting = 0n
  for (let count = 0n; count < candidatesMax; count += 1n) {
    if (span !== undefined && count >= span && !crossesZero(first, last))
      return unrepresentable ? undefined : EMPTY
    if (span !== undefined && count >= 2n * span + 2n) return unrepresentable ? undefined : EMPTY
    const k = crossesZero(first, last) ? zigzag(count) : from + count * direction
    const q = times(k)
    const result = accept(q)
    if (result !== undefined) return result
    if (fits(q)) {
      fitting += 1n
      if (toNumber(q) === undefined) unrepresentable = true
    }
    if (count >= 2n * period + 2n && fitting === 0n) return EMPTY
    if (span === undefined && fitting > excluded + 50n && unrepresentable) return undefined
  }
  return undefined
}

function edge(start: bigint, direction: bigint, inside: (k: bigint) => boolean): bigint {
  let k = start
  for (let guard = 0; guard < 4 && !inside(k); guard += 1) k += direction
  return k
}

const crossesZero = (first: bigint | undefined, last: bigint | undefined): boolean =>
  (first === undefined || first < 0n) && (last === undefined || last > 0n)

/** 0, 1, -1, 2, -2, … */
const zigzag = (count: bigint): bigint => (count % 2n === 1n ? (count + 1n) / 2n : -count / 2n)

/** An interval holds numbers of every fineness: plain ones first. */
function solveDense(range: Range, accept: (q: Rational) => Result | undefined): Result | undefined {
  const half = rational(1n, 2n)
  const { low, high } = range
  const bases: Rational[] = []
  if (within(range, rational(0n))) bases.push(rational(0n))
  if (low !== undefined) bases.push(low.q)
  if (high !== undefined) bases.push(high.q)
  if (low !== undefined && high !== undefined) bases.push(multiply(add(low.q, high.q), half))
  for (const base of bases) {
    const result = accept(base)
    if (result !== undefined) return result
  }
  // From coarse to fine: base ± digit / 10^places, on the grid of that fineness.
  for (let places = 1; places <= precisionMax; places += 1) {
    const unit = rational(1n, 10n ** BigInt(places))
    for (const base of bases) {
      const grid = multiply(unit, rational(floor(multiply(base, rational(10n ** BigInt(places))))))
      for (const digit of [5n, 1n, 2n, 3n, 7n, 9n, 11n, 13n, -1n, -2n, -3n, -5n, -7n, 0n]) {
        const result = accept(add(grid, multiply(unit, rational(digit))))
        if (result !== undefined) return result
      }
    }
  }
  return neighbours(range, accept)
}

/** The doubles next to a bound: all that is left of a very narrow interval. */
function neighbours(
  { low, high }: Range,
  accept: (q: Rational) => Result | undefined,
): Result | undefined {
  for (const bound of [low, high]) {
    if (bound === undefined) continue
    const near = toNumber(bound.q)
    if (near === undefined || near === 0) continue
    for (let ulp = 1; ulp <= 4; ulp += 1) {
      const result =
        accept(fromNumber(near * (1 + ulp * Number.EPSILON))) ??
        accept(fromNumber(near * (1 - ulp * Number.EPSILON)))
      if (result !== undefined) return result
    }
  }
  return undefined
}
