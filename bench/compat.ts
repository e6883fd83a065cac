import { isSubset } from '../dist/contracts/compat/subset.js'
import type { Verdict } from '../dist/contracts/compat/verdict.js'
import {
  github,
  githubPairs,
  githubVersions,
  type Pair,
  shopify,
  shopifyPairs,
} from './compat-corpora.ts'
import {
  type BenchOptions,
  measureSides,
  quantile,
  type Round,
  type Side,
  timed,
} from './measure.ts'
import { atMost, type Report } from './report.ts'

interface Tally {
  readonly counts: Record<Verdict['verdict'], number>
  readonly undecided: string[]
  /** CPU time of this thread for each question, in milliseconds: what others run does not show in it. */
  readonly cpuMs: number[]
}

/** Asks every pair; the times are of whole questions, the witness judged by both validators. */
function side(name: string, pairs: readonly Pair[], tally: Tally): Side {
  return {
    name,
    round: (): Promise<Round> =>
      timed(pairs.length, () =>
        pairs.map((pair) => {
          const cpuBefore = process.threadCpuUsage()
          const begunAt = performance.now()
          const verdict = isSubset(pair.before, pair.after)
          const tookMs = performance.now() - begunAt
          const cpu = process.threadCpuUsage(cpuBefore)
          tally.cpuMs.push((cpu.user + cpu.system) / 1_000)
          tally.counts[verdict.verdict] += 1
          if (verdict.verdict === 'unknown')
            tally.undecided.push(`${pair.name}: ${verdict.keyword}, ${verdict.reason}`)
          return tookMs
        }),
      ),
  }
}

/** Verdicts on changes that two vendors really made to their events. */
export async function bench(options: BenchOptions): Promise<Report> {
  const some = (pairs: Pair[]) => (options.isSmoke ? pairs.slice(0, 40) : pairs)
  const corpora: [name: string, pairs: Pair[]][] = [
    ['Shopify, quarterly versions', some(shopifyPairs())],
    ['GitHub, seven releases', some(githubPairs())],
  ]
  const tallies = corpora.map(
    (): Tally => ({ counts: { compatible: 0, breaking: 0, unknown: 0 }, undecided: [], cpuMs: [] }),
  )
  const sides = corpora.map(([name, pairs], at) => side(name, pairs, tallies[at] as Tally))
  const rows = await measureSides(sides, {
    rounds: options.rounds,
    reference: sides[0]?.name ?? '',
  })
  const shares = tallies.map(
    ({ counts }) =>
      counts.unknown / Math.max(1, counts.compatible + counts.breaking + counts.unknown),
  )
  return {
    bench: 'compat',
    bars: [
      ...rows.map((row) => atMost(`p99 ms, ${row.name}`, 50, row.p99Ms)),
      ...corpora.map(([name], at) =>
        atMost(`share of unknown, ${name}`, 0.005, shares[at] ?? null),
      ),
    ],
    rows,
    notes: [
      `${shopify}; ${github} ${githubVersions.join(', ')}, each event with what it refers to; every changed pair in both directions`,
      'a whole question each: load both, prove or find a witness, judge it with two validators; nothing is cached between them',
    ],
    details: corpora.flatMap(([name, pairs], at) => {
      const { counts, undecided, cpuMs } = tallies[at] as Tally
      const rounds = Math.max(
        1,
        Math.round(
          (counts.compatible + counts.breaking + counts.unknown) / Math.max(1, pairs.length),
        ),
      )
      const line = `${name}: ${pairs.length} pairs, ${counts.compatible / rounds} compatible, ${counts.breaking / rounds} breaking, ${counts.unknown / rounds} unknown`
      const cpu = [0.5, 0.99, 1].map((q) => quantile(cpuMs, q).toFixed(1))
      const cpuLine = `${name}: CPU time of a question ${cpu[0]} ms median, ${cpu[1]} ms p99, ${cpu[2]} ms most`
      return [line, cpuLine, ...new Set(undecided)]
    }),
  }
}
