import type { Row } from './report.ts'

export interface BenchOptions {
  /** At least five, except for a smoke run. */
  readonly rounds: number
  /** Only show that it works: few and small rounds, numbers without meaning. */
  readonly isSmoke: boolean
  /** Names of the parts to run, where a bench has parts; absent: all. */
  readonly only?: readonly string[]
}

/** What one round of one side came to. */
export interface Round {
  readonly operations: number
  readonly elapsedMs: number
  /** CPU time in microseconds, all processes that take part. */
  readonly cpuMicros: number
  /** Times of single operations, in milliseconds; empty where they were not taken. */
  readonly latenciesMs: readonly number[]
}

export interface Side {
  readonly name: string
  round(): Promise<Round> | Round
}

/** Runs `work` and takes the time and the CPU time of this process. */
export async function timed(
  operations: number,
  work: () => void | readonly number[] | Promise<void | readonly number[]>,
): Promise<Round> {
  const cpuBefore = process.cpuUsage()
  const begunAt = performance.now()
  const latenciesMs = (await work()) ?? []
  const elapsedMs = performance.now() - begunAt
  const cpu = process.cpuUsage(cpuBefore)
  return { operations, elapsedMs, cpuMicros: cpu.user + cpu.system, latenciesMs }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * q))
  return sorted[at] ?? Number.NaN
}

/**
 * Runs the sides in turn, round after round, each time beginning with another one, so that what
 * the machine does beside it hits all alike. One round more than asked for goes first and is forgotten.
 *
 * @param reference Name of the side that ratios are against; each round is compared with the same round's.
 */
export async function measureSides(
  sides: readonly Side[],
  options: { readonly rounds: number; readonly reference: string },
): Promise<Row[]> {
  const rounds = new Map<string, Round[]>(sides.map((side) => [side.name, []]))
  for (let number = -1; number < options.rounds; number += 1) {
    const first = (number + 1) % sides.length
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) {
      const round = await side.round()
      if (number >= 0) rounds.get(side.name)?.push(round)
    }
  }
  const reference = (rounds.get(options.reference) ?? []).map(rateOf)
  return sides.map(({ name }) => {
    const own = rounds.get(name) ?? []
    const ratios = own.map((round, n) => rateOf(round) / (reference[n] ?? Number.NaN))
    const withLatency = own.filter((round) => round.latenciesMs.length > 0)
    return {
      name,
      rate: median(own.map(rateOf)),
      ratio: name === options.reference ? null : median(ratios),
      cpuMicros: median(own.map((round) => round.cpuMicros / round.operations)),
      p99Ms:
        withLatency.length === 0
          ? null
          : median(withLatency.map((round) => quantile(round.latenciesMs, 0.99))),
    }
  })
}

function rateOf(round: Round): number {
  return (round.operations / round.elapsedMs) * 1000
}
