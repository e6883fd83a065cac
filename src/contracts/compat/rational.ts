/**
 * Exact arithmetic for `multipleOf` and bounds. A JSON number is read as the decimal text that it
 * is written with, so 0.1 is 1/10 and not the binary double next to it.
 */
export interface Rational {
  readonly n: bigint
  /** Always positive; the fraction is reduced. */
  readonly d: bigint
}

const abs = (value: bigint): bigint => (value < 0n ? -value : value)

function gcd(a: bigint, b: bigint): bigint {
  let x = abs(a)
  let y = abs(b)
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

/** The reduced fraction n/d; `d` must not be 0. */
export function rational(n: bigint, d: bigint = 1n): Rational {
  const divisor = gcd(n, d) || 1n
  const sign = d < 0n ? -1n : 1n
  return { n: (sign * n) / divisor, d: (sign * d) / divisor }
}

const decimal = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i

/** The number as its shortest decimal text says (ECMA-262 Number::toString); finite numbers only. */
export function fromNumber(value: number): Rational {
  if (Number.isSafeInteger(value)) return { n: BigInt(value), d: 1n }
  const parts = decimal.exec(String(value))
  if (parts === null) throw new RangeError(`not a finite number: ${value}`)
  const [, sign, whole = '0', fraction = '', exponent = '0'] = parts
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n)
  const shift = Number(exponent) - fraction.length
  return shift >= 0
    ? rational(digits * 10n ** BigInt(shift))
    : rational(digits, 10n ** BigInt(-shift))
}

/** The double that reads back as exactly this fraction; undefined where there is none. */
export function toNumber(value: Rational): number | undefined {
  const guess = value.d === 1n ? Number(value.n) : divide(value)
  if (guess === undefined || !Number.isFinite(guess)) return undefined
  return compare(fromNumber(guess), value) === 0 ? guess : undefined
}

/** The double nearest to a fraction whose decimal text ends; undefined for the others. */
function divide({ n, d }: Rational): number | undefined {
  let rest = d
  let digits = 0
  while (rest % 10n === 0n) [rest, digits] = [rest / 10n, digits + 1]
  let factor = 1n
  while (rest % 2n === 0n) [rest, factor, digits] = [rest / 2n, factor * 5n, digits + 1]
  while (rest % 5n === 0n) [rest, factor, digits] = [rest / 5n, factor * 2n, digits + 1]
  return rest === 1n ? Number(`${n * factor}e-${digits}`) : undefined
}

export function compare(a: Rational, b: Rational): number {
  const left = a.n * b.d
  const right = b.n * a.d
  return left < right ? -1 : left > right ? 1 : 0
}

export const add = (a: Rational, b: Rational): Rational =>
  rational(a.n * b.d + b.n * a.d, a.d * b.d)

export const multiply = (a: Rational, b: Rational): Rational => rational(a.n * b.n, a.d * b.d)

/** True when `value` is a whole multiple of `step`, which must not be 0. */
export function isMultiple(value: Rational, step: Rational): boolean {
  return (value.n * step.d) % (value.d * step.n) === 0n
}

/** The least common multiple of two positive fractions. */
export function lcm(a: Rational, b: Rational): Rational {
  const x = a.n * b.d
  const y = b.n * a.d
  return rational((x / gcd(x, y)) * y, a.d * b.d)
}

/** The largest whole number that is not above the fraction. */
export function floor({ n, d }: Rational): bigint {
  const quotient = n / d
  return n < 0n && n % d !== 0n ? quotient - 1n : quotient
}

/** True when the number has no fractional part; 1.0 has none, in every draft. */
export const isInteger = (value: number): boolean => Number.isInteger(value)
