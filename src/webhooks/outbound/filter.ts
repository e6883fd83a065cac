import { createConditions, type Judgement } from '../../contracts/conditions/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'

export type { Judgement } from '../../contracts/conditions/index.ts'

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

/** A condition in CEL, compiled. */
export interface Filter {
  readonly expression: string
  /** Never throws. */
  judge(message: FilterMessage): Judgement
}

const conditions = createConditions<FilterMessage>({
  variables: {
    event: 'string',
    id: 'string',
    data: 'dyn',
    key: 'dyn',
    source: 'string',
    timestamp: 'string',
    correlationId: 'dyn',
    metadata: 'dyn',
  },
})
const variables = 'event, id, data, key, source, timestamp, correlationId, metadata'

/**
 * Compiles a condition such as `data.total > 100 && source == "shop"`.
 *
 * @throws WEBHOOK_FILTER_INVALID with the place in the expression
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
  return { expression, judge: conditions.compile(expression) }
}

/** What is wrong with an expression, with its place; empty when it compiles. */
export function filterFindings(expression: string): Finding[] {
  const wrong = conditions.mistakeIn(expression)
  return wrong === undefined ? [] : [mistake(expression, wrong.at, wrong.what)]
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
