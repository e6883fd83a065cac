import { createContext, Script } from 'node:vm'
import { type ASTNode, Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js'
import { errorMessage } from '../../core/errors.ts'

/** True or false for a message, or why the condition could not be judged. */
export type Judgement = { readonly passes: boolean } | { readonly failure: string }

/** Why an expression is no condition. */
export interface ConditionMistake {
  /** Place in the expression, from 0. */
  readonly at: number
  /** Part of a sentence, without full stop. */
  readonly what: string
}

/** Conditions in CEL, the Common Expression Language, over the same variables. */
export interface Conditions<Input extends object> {
  /** Undefined: the expression compiles and gives true or false. */
  mistakeIn(expression: string): ConditionMistake | undefined
  /** For an expression without mistakes. What it gives never throws, and takes at most 50 ms a message. */
  compile(expression: string): (input: Input) => Judgement
}

export interface ConditionsOptions<Input extends object> {
  /** Every variable, with its type: `dyn` where that depends on the message. */
  readonly variables: Readonly<Record<keyof Input & string, 'string' | 'int' | 'dyn'>>
  /** JSON numbers without a fraction are CEL's int, so that `data.count + 1` is what it looks like; else all are double. */
  readonly integers?: boolean
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

/** @see https://github.com/google/cel-spec */
export function createConditions<Input extends object>(
  options: ConditionsOptions<Input>,
): Conditions<Input> {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    // The data is JSON of any shape.
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits,
  })
  for (const [name, type] of Object.entries<string>(options.variables)) {
    environment.registerVariable(name, type)
  }
  const input = options.integers === true ? withIntegers : (given: Input) => ({ ...given })
  return {
    mistakeIn(expression) {
      if (expression.length > charactersMax) {
        return { at: 0, what: `it is longer than ${charactersMax} characters` }
      }
      try {
        const { valid, type, error } = environment.parse(expression).check()
        if (valid && (type === 'bool' || type === 'dyn')) return undefined
        if (valid) return { at: 0, what: `it gives ${type}, not true or false` }
        return mistakeOf(error)
      } catch (thrown) {
        return mistakeOf(thrown)
      }
    },
    compile(expression) {
      const run = environment.parse(expression)
      const isBounded = !isCostly(run.ast)
      return (given) => {
        const work = () => run(input(given) as Record<string, unknown>)
        try {
          const value: unknown = isBounded ? work() : inTime(work)
          if (typeof value === 'boolean') return { passes: value }
          return { failure: `the filter gave ${kindOf(value)}, not true or false` }
        } catch (thrown) {
          return { failure: failureText(thrown) }
        }
      }
    },
  }
}

function mistakeOf(thrown: unknown): ConditionMistake {
  if (thrown instanceof ParseError || thrown instanceof EvaluationError || hasSummary(thrown)) {
    const known = thrown as ParseError
    return { at: known.range?.start ?? 0, what: sentence(known.summary) }
  }
  return { at: 0, what: errorMessage(thrown) }
}

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

function withIntegers(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(withIntegers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withIntegers(inner)]),
  )
}

function hasSummary(thrown: unknown): boolean {
  return typeof (thrown as { summary?: unknown } | undefined)?.summary === 'string'
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
