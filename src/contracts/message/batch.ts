import type { Finding } from '../../core/finding.ts'
import { hasErrors } from '../../core/finding.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import { compileSchema } from '../schema/validator.ts'
import { batchType } from './message-grammar.ts'
import { messageSchema } from './message-schema.ts'

/** The verdict on one message of a batch. */
export interface BatchItem {
  /** Place in `messages`, from 0. */
  readonly index: number
  /** Absent where the message has none. */
  readonly id?: string
  readonly ok: boolean
  /** Pointers into the batch. */
  readonly findings: readonly Finding[]
}

/** The schema of a batch message's data; what its messages are is judged one by one. */
const batchSchema = messageSchema({
  type: batchType,
  envelope: 'treaty',
  profile: 'default',
  data: {
    type: 'object',
    required: ['batch_size', 'messages'],
    properties: { batch_size: { type: 'integer', minimum: 1 }, messages: { type: 'array' } },
  },
})

function idFindings(messages: readonly unknown[], outerId: unknown): Map<number, Finding> {
  const seen = new Map<unknown, string>([[outerId, 'the batch itself']])
  const findings = new Map<number, Finding>()
  for (const [index, inner] of messages.entries()) {
    const id = isJsonObject(inner) ? inner.id : undefined
    if (typeof id !== 'string') continue
    const earlier = seen.get(id)
    if (earlier === undefined) seen.set(id, `message ${index}`)
    else {
      findings.set(index, {
        code: 'BATCH_DUPLICATE_ID',
        severity: 'error',
        message: `message ${index} of the batch has the same id as ${earlier}`,
        pointer: `/data/messages/${index}/id`,
      })
    }
  }
  return findings
}

function isBatch(message: unknown): boolean {
  return isJsonObject(message) && message.type === batchType
}

/**
 * Judges a batch: its envelope, `batch_size` against the count, each inner message on its own by `judge`, ids distinct
 * among themselves and from the batch's, no batch within. Inner messages may belong to different correlations.
 */
export function batchFindings(
  message: JsonObject,
  judge: (inner: unknown) => { readonly findings: readonly Finding[] },
): { findings: Finding[]; items: BatchItem[] } {
  const findings = compileSchema(batchSchema).findings(message)
  const data = isJsonObject(message.data) ? message.data : {}
  const messages: readonly unknown[] = Array.isArray(data.messages) ? data.messages : []
  if (messages.length > limits.batchMessagesMax) {
    findings.push({
      code: 'BATCH_TOO_LARGE',
      severity: 'error',
      message: `a batch holds at most ${limits.batchMessagesMax} messages, found ${messages.length}`,
      pointer: '/data/messages',
    })
    return { findings, items: [] }
  }
  if (
    Array.isArray(data.messages) &&
    Number.isInteger(data.batch_size) &&
    data.batch_size !== messages.length
  ) {
    findings.push({
      code: 'BATCH_SIZE_MISMATCH',
      severity: 'error',
      message: `batch_size is ${String(data.batch_size)}, and there are ${messages.length} messages`,
      pointer: '/data/batch_size',
    })
  }
  const duplicates = idFindings(messages, message.id)
  const items = messages.map((inner, index): BatchItem => {
    const at = `/data/messages/${index}`
    const duplicate = duplicates.get(index)
    const own: Finding[] = isBatch(inner)
      ? [
          {
            code: 'BATCH_NESTED',
            severity: 'error',
            message: `message ${index} of the batch is a batch`,
            pointer: at,
          },
        ]
      : judge(inner).findings.map((finding) => ({
          ...finding,
          pointer: at + (finding.pointer ?? ''),
        }))
    const all = duplicate === undefined ? own : [...own, duplicate]
    const id = isJsonObject(inner) && typeof inner.id === 'string' ? { id: inner.id } : {}
    return { index, ...id, ok: !hasErrors(all), findings: all }
  })
  return { findings: [...findings, ...items.flatMap((item) => item.findings)], items }
}
