import { compareSchemas } from '../../contracts/compat/index.ts'
import type { SubjectJudge } from './model.ts'

/** Milliseconds for one comparison: a client waits for the answer. */
const budgetMs = 1000

/** Goes by the rules that the Confluent Schema Registry documents; a witness goes along where there is one. */
export const ruleJudge: SubjectJudge = {
  refusals(written, read, policy) {
    const { backward } = compareSchemas(written, read, {
      policy: policy === 'LENIENT' ? 'confluent-lenient' : 'confluent-strict',
      mode: 'backward',
      budgetMs,
    })
    if (backward === undefined || backward.verdict === 'compatible') return []
    const place = backward.schemaPointer === '' ? '#' : `#${backward.schemaPointer}`
    if (backward.verdict === 'unknown') {
      return [`{place: "${place}", description: could not be decided: ${backward.reason}}`]
    }
    const example =
      backward.witness === undefined ? '' : `, example: ${JSON.stringify(backward.witness)}`
    return [`{place: "${place}", description: ${backward.reason}${example}}`]
  },
}
