import { createContext, Script } from 'node:vm'
import { type ASTNode, Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'

/** What a filter sees of a message: the variables of its expression. */
export interface FilterMessage {
  /** The event type. */
  readonly event: string
  readonly id: string
  readonly data: unknown
  readonly key: string | null
  /** Who produced it; empty where nobody said. */
  readonly source: string
  /** RFC 3339. */
  readonly timestamp: string
  readonly correlationId: string | null
  readonly metadata: Readonly<Record<string, unknown>>
}

/** True or false for a message, or why the condition could not be judged. */
export type Judgement = { readonly passes: boolean } | { readonly failure: string }

/** A condition in CEL, compiled. */
export interface Filter {
  readonly expression: string
  /** Never throws. */
  judge(message: FilterMessage): Judgement
}

/** Longest expression, in characters. */
const charactersMax = 4000
/** Milliseconds that one judgement may take where its cost depends on the message. */
const judgeMsMax = 50
/** Bounds of an expression; what its calls cost is bounded by time. */
const limits = {
  maxAstNodes: 500,
  maxDepth: 32,
  maxListElements: 200,
  maxMapEntries: 50,
  maxCallArguments: 8,
}

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  // The data is JSON of any shape.
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true,
  limits,
})
  .registerVariable('event', 'string')
  .registerVariable('id', 'string')
  .registerVariable('data', 'dyn')
  .registerVariable('key', 'dyn')
  .registerVariable('source', 'string')
  .registerVariable('timestamp', 'string')
  .registerVariable('correlationId', 'dyn')
  .registerVariable('metadata', 'dyn')
const variables = 'event, id, data, key, source, timestamp, correlationId, metadata'

/** Calls whose cost grows with the message or with the pattern, not with the expression. */
const costly = new Set([
  'matches',
  'exists',
  'exists_one',
  'existsOne',
  'all',
  'map',
  'filter',
  'bind',
])

/**
 * Compiles a condition such as `data.total > 100 && source == "shop"`.
 *
 * @throws WEBHOOK_FILTER_INVALID with the place in the expression
 * @see https://github.com/google/cel-spec
 */
export function compileFilter(expression: string): Filter {
  const [finding] = filterFindings(expression)
  if (finding) {
    const shown = expression.length > 60 ? `${expression.slice(0, 60)}…` : expression
    throw new TreatyError('WEBHOOK_FILTER_INVALID', `\`${shown}\` is no filter`, {
      hint: 'Correct the expression at the place that the finding names.',
      findings: [finding],
    })
  }
  const run = environment.parse(expression)
  const isBounded = !isCostly(run.ast)
  return {
    expression,
    judge(message) {
      const work = () => run({ ...message })
      try {
        const value: unknown = isBounded ? work() : inTime(work)
        if (typeof value === 'boolean') return { passes: value }
        return { failure: `the filter gave ${kindOf(value)}, not true or false` }
      } catch (thrown) {
        return { failure: failureText(thrown) }
      }
    },
  }
}

/** What is wrong with an expression, with its place; empty when it compiles. */
export function filterFindings(expression: string): Finding[] {
  if (expression.length > charactersMax) {
    return [mistake(expression, 0, `it is longer than ${charactersMax} characters`)]
  }
  try {
    const { valid, type, error } = environment.parse(expression).check()
    if (valid && (type === 'bool' || type === 'dyn')) return []
    if (valid) return [mistake(expression, 0, `it gives ${type}, not true or false`)]
    return [celMistake(expression, error)]
  } catch (thrown) {
    return [celMistake(expression, thrown)]
  }
}

function celMistake(expression: string, thrown: unknown): Finding {
  if (thrown instanceof ParseError || thrown instanceof EvaluationError || hasSummary(thrown)) {
    const known = thrown as ParseError
    return mistake(expression, known.range?.start ?? 0, sentence(known.summary))
  }
  return mistake(expression, 0, errorMessage(thrown))
}

function hasSummary(thrown: unknown): boolean {
  return typeof (thrown as { summary?: unknown } | undefined)?.summary === 'string'
}

function mistake(expression: string, at: number, what: string): Finding {
  const from = Math.max(0, at - 40)
  const shown = expression.slice(from, from + 80).replaceAll(/\s/g, ' ')
  return {
    code: 'WEBHOOK_FILTER_INVALID',
    message: `the filter does not compile at character ${at + 1}: ${what}`,
    severity: 'error',
    pointer: '/filter',
    hint: what.startsWith('unknown variable')
      ? `Use the variables ${variables}.`
      : 'Write a condition in CEL, such as data.total > 100.0 && source == "shop".',
    frame: `${shown}\n${' '.repeat(at - from)}^`,
  }
}

/** What is said of an expression that failed on a message. */
function failureText(thrown: unknown): string {
  const { code, summary } = thrown as { code?: string; summary?: string }
  if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
    return `the filter took longer than ${judgeMsMax} ms`
  }
  return `the filter failed: ${sentence(summary ?? errorMessage(thrown))}`
}

/** Messages of the evaluator, as a part of a sentence of ours. */
function sentence(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '')
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function isCostly(node: ASTNode): boolean {
  const { op, args } = node
  if (op === 'rcall' || op === 'call') {
    if (costly.has(String((args as readonly unknown[])[0]))) return true
  }
  return innerNodes(args).some(isCostly)
}

function innerNodes(value: unknown): ASTNode[] {
  if (Array.isArray(value)) return value.flatMap(innerNodes)
  const isNode = typeof value === 'object' && value !== null && 'op' in value && 'args' in value
  return isNode ? [value as ASTNode] : []
}

const workbench = createContext({ run: undefined as (() => unknown) | undefined })
const runScript = new Script('run()')

/** Ends work that takes too long: a nested search through a large list, or a pattern that backtracks. Costs 0.1 ms. */
function inTime(work: () => unknown): unknown {
  workbench.run = work
  try {
    return runScript.runInContext(workbench, { timeout: judgeMsMax })
  } finally {
    workbench.run = undefined
  }
}
