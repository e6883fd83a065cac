import { createHash } from 'node:crypto'
import { uuidFromDigest } from '../../core/ids.ts'
import { invalidOption } from '../resilience/policy.ts'

/**
 * A key that is the same for the same piece of work, also after a restart: from the flow, the message and the step that a call
 * belongs to (rule R11).
 */
export function idempotencyKeyFor(work: {
  readonly flow: string
  readonly messageId: string
  readonly step: string
}): string {
  const text = JSON.stringify([work.flow, work.messageId, work.step])
  return uuidFromDigest(createHash('sha256').update(text).digest())
}

/**
 * The header's value.
 *
 * @see draft-ietf-httpapi-idempotency-key-header: a structured string
 * @throws HTTP_OPTIONS_INVALID for keys that a header cannot carry
 */
export function idempotencyHeader(key: string, isQuoted: boolean): string {
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw invalidOption(
      'the idempotency key is empty, longer than 255 characters, or not plain ASCII',
      'Use idempotencyKeyFor, or a UUID.',
    )
  }
  return isQuoted ? `"${key.replaceAll(/["\\]/g, '\\$&')}"` : key
}
