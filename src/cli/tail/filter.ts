import { TreatyError } from '../../core/errors.ts'

/** What an expression of `--filter` sees. */
export interface FilterInput {
  readonly event: string
  readonly id: string
  readonly key: string | null
  readonly source: string | null
  readonly correlationId: string | null
  /** Epoch milliseconds. */
  readonly publishedAt: number
  readonly data: unknown
  readonly metadata: unknown
}

/** Says whether a message is wanted. */
export interface MessageFilter {
  /** False also where the expression asks for a field that the message does not have. */
  matches(input: FilterInput): boolean
  /** Messages at which the expression could not be evaluated, and why the last of them could not. */
  readonly failed: number
  readonly lastFailure: string | undefined
}

const names = [
  'event',
  'id',
  'key',
  'source',
  'correlationId',
  'publishedAt',
  'data',
  'metadata',
] as const satisfies readonly (keyof FilterInput)[]

/**
 * Compiles an expression in CEL, the Common Expression Language.
 *
 * @see https://github.com/google/cel-spec
 * @throws USAGE with the place of the mistake
 */
export async function compileFilter(expression: string): Promise<MessageFilter> {
  const { Environment } = await import('@marcbachmann/cel-js')
  const environment = new Environment({ unlistedVariablesAreDyn: false })
  for (const name of names) environment.registerVariable(name, 'dyn')
  const evaluate = parsed(environment, expression)
  let failed = 0
  let lastFailure: string | undefined
  return {
    matches(input) {
      try {
        return evaluate(inCel(input) as Record<string, unknown>) === true
      } catch (error) {
        failed += 1
        lastFailure = firstLine(error)
        return false
      }
    },
    get failed() {
      return failed
    },
    get lastFailure() {
      return lastFailure
    },
  }
}

interface Parser {
  parse(expression: string): {
    (input: Record<string, unknown>): unknown
    check(): { valid: boolean; error?: unknown; type?: string | undefined }
  }
}

function parsed(environment: Parser, expression: string) {
  const refuse = (why: string) =>
    new TreatyError('USAGE', `--filter cannot be read: ${why}`, {
      hint: `Write CEL over ${names.join(', ')}, for example data.total.amount > 100 && event == "order.placed".`,
    })
  let evaluate: ReturnType<Parser['parse']>
  try {
    evaluate = environment.parse(expression)
  } catch (error) {
    throw refuse(firstLine(error))
  }
  const { valid, error, type } = evaluate.check()
  if (!valid) throw refuse(firstLine(error))
  if (type !== undefined && type !== 'bool' && type !== 'dyn') {
    throw refuse(`it gives ${type}, and a filter says true or false`)
  }
  return evaluate
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? text
}

/** JSON numbers without a fraction are CEL's int, so that `data.count + 1` is what it looks like. */
function inCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(inCel)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inCel(inner)]))
}
