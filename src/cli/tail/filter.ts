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

/** Types as CEL has them; the data and what may be null depend on the message. */
const variables = {
  event: 'string',
  id: 'string',
  key: 'dyn',
  source: 'dyn',
  correlationId: 'dyn',
  publishedAt: 'int',
  data: 'dyn',
  metadata: 'dyn',
} as const

/**
 * Compiles an expression in CEL, the Common Expression Language.
 *
 * @throws USAGE with the place of the mistake
 */
export async function compileFilter(expression: string): Promise<MessageFilter> {
  const { createConditions } = await import('../../contracts/conditions/index.ts')
  const conditions = createConditions<FilterInput>({ variables, integers: true })
  const wrong = conditions.mistakeIn(expression)
  if (wrong) {
    throw new TreatyError(
      'USAGE',
      `--filter cannot be read at character ${wrong.at + 1}: ${wrong.what}`,
      {
        hint: `Write CEL over ${Object.keys(variables).join(', ')}, for example data.total.amount > 100 && event == "order.placed".`,
      },
    )
  }
  const judge = conditions.compile(expression)
  let failed = 0
  let lastFailure: string | undefined
  return {
    matches(input) {
      const judged = judge(input)
      if ('passes' in judged) return judged.passes
      failed += 1
      lastFailure = judged.failure
      return false
    },
    get failed() {
      return failed
    },
    get lastFailure() {
      return lastFailure
    },
  }
}
