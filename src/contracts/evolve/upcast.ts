import type { Expression, JsonataError } from 'jsonata'
import { TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Contract, Upcast } from '../model.ts'
import { parseRange, parseVersion, satisfies } from '../semver.ts'

/** Turns data of one version of a contract into data of another, by the steps that the contract lists. */
export interface Upcaster {
  /** True when the contract lists any step. */
  readonly isUseful: boolean
  /**
   * The steps from data of `from` to data of `to`, the fewest there are; empty where they share a major version, undefined
   * where no way leads there. Remembered, so asking again costs a look-up.
   */
  path(event: string, from: string, to?: string): readonly Upcast[] | undefined
  /**
   * The data as `to` has it (default: the contract's version). Down as well as up, where steps lead down. The input is
   * left as it is.
   *
   * @throws UPCAST_MISSING · UPCAST_FAILED
   */
  convert(event: string, data: Json, versions: { from: string; to?: string }): Promise<Json>
}

/** Longest that one step may take, in milliseconds; JSONata can loop. */
const stepTimeoutMs = 1000
/** Deepest nesting of calls in one step. */
const stackMax = 500
const pathsMax = 1000

const compiled = new Map<string, Promise<Expression>>()
const compiledMax = 1000

/** Compiled once for each text. @throws JSONata's own error */
function compileStep(text: string): Promise<Expression> {
  const known = compiled.get(text)
  if (known !== undefined) return known
  const made = import('jsonata').then(({ default: jsonata }) =>
    jsonata(text, { timeout: stepTimeoutMs, stack: stackMax }),
  )
  if (compiled.size >= compiledMax) compiled.delete(compiled.keys().next().value as string)
  compiled.set(text, made)
  return made
}

/** Why a text is no JSONata, with its place in it; undefined when it is. */
export async function jsonataProblem(
  text: string,
): Promise<{ readonly message: string; readonly position?: number } | undefined> {
  try {
    await compileStep(text)
    return undefined
  } catch (error) {
    const { message, position } = error as JsonataError
    return { message, ...(typeof position === 'number' ? { position } : {}) }
  }
}

/** Upcasts and downcasts of a contract. Nothing is compiled before it is needed. */
export function createUpcaster(contract: Contract): Upcaster {
  const steps = contract.evolution.upcast
  const paths = new Map<string, readonly Upcast[] | undefined>()

  function path(event: string, from: string, to = contract.version) {
    const key = `${event} ${from} ${to}`
    if (paths.has(key)) return paths.get(key)
    const own = steps.filter((step) => step.event === event)
    const found = shortestPath(own, from, to)
    if (paths.size < pathsMax) paths.set(key, found)
    return found
  }

  return {
    isUseful: steps.length > 0,
    path,
    async convert(event, data, { from, to = contract.version }) {
      const found = path(event, from, to)
      if (found === undefined) {
        throw new TreatyError(
          'UPCAST_MISSING',
          `no upcast of "${event}" leads from ${from} to ${to}`,
          {
            hint: 'Add one to `evolution.upcast`.',
            details: { event, from, to },
          },
        )
      }
      let current = data
      for (const step of found) current = await take(step, current)
      return current
    },
  }
}

/** A breadth-first search: the versions are the places, the steps lead from one range to another. */
function shortestPath(
  steps: readonly Upcast[],
  from: string,
  to: string,
): readonly Upcast[] | undefined {
  if (sameMajor(from, to)) return []
  const seen = new Set<Upcast>()
  let ways: { readonly at: string; readonly taken: readonly Upcast[] }[] = [{ at: from, taken: [] }]
  while (ways.length > 0) {
    const next: typeof ways = []
    for (const { at, taken } of ways) {
      for (const step of steps) {
        if (seen.has(step) || !covers(step.from, at)) continue
        seen.add(step)
        const now = [...taken, step]
        if (covers(step.to, to)) return now
        next.push({ at: step.to, taken: now })
      }
    }
    ways = next
  }
  return undefined
}

function sameMajor(a: string, b: string): boolean {
  const [left, right] = [parseVersion(complete(a)), parseVersion(complete(b))]
  return left !== undefined && right !== undefined && left.major === right.major
}

/** `1.0` and `v1` are versions of messages too. */
function complete(version: string): string {
  const [, major = '', minor = '0', patch = '0', rest = ''] =
    /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/.exec(version) ?? []
  return `${major}.${minor}.${patch}${rest}`
}

/** True when the range holds for a version, or for the least version of another range. */
function covers(range: string, versionOrRange: string): boolean {
  if (range === versionOrRange) return true
  const isVersion = /^v?\d+(?:\.\d+){0,2}(?:-[\w.-]+)?$/.test(versionOrRange)
  if (isVersion) return satisfies(complete(versionOrRange), range)
  const least = leastOf(versionOrRange)
  return least !== undefined && satisfies(least, range)
}

function leastOf(range: string): string | undefined {
  const set = parseRange(range)?.[0]
  const bound = set?.find(({ operator }) => operator === '>=' || operator === '=')
  if (bound === undefined) return undefined
  const { major, minor, patch } = bound.version
  return `${major}.${minor}.${patch}`
}

async function take(step: Upcast, data: Json): Promise<Json> {
  const { event, from, to } = step
  let result: unknown
  try {
    const expression = await compileStep(step.jsonata)
    result = await expression.evaluate(data)
  } catch (cause) {
    const why = (cause as Error).message
    throw new TreatyError(
      'UPCAST_FAILED',
      `the upcast of "${event}" from ${from} to ${to} failed: ${why}`,
      {
        hint: 'Correct its `jsonata`; treaty check tries it on examples.',
        details: { event, from, to },
        cause,
      },
    )
  }
  if (result === undefined) {
    throw new TreatyError(
      'UPCAST_FAILED',
      `the upcast of "${event}" from ${from} to ${to} gave nothing`,
      {
        hint: 'Let its `jsonata` return the whole data.',
        details: { event, from, to },
      },
    )
  }
  // JSONata's lists and objects carry marks of its own; what is handed on is plain data.
  return JSON.parse(JSON.stringify(result)) as Json
}
