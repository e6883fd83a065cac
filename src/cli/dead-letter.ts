import { TreatyError } from '../core/errors.ts'
import type { Bus, DeadLetter } from '../messaging/index.ts'

/**
 * The dead letter of this id, and of this consumer where one is named.
 *
 * @throws DEAD_LETTER_NOT_FOUND
 */
export async function findDeadLetter(bus: Bus, id: string, consumer?: string): Promise<DeadLetter> {
  const letter = await bus.dead.get(id)
  if (letter && (consumer === undefined || letter.consumer === consumer)) return letter
  throw deadLetterNotFound(id, letter ? consumer : undefined)
}

export function deadLetterNotFound(id: string, consumer?: string): TreatyError {
  const whose = consumer === undefined ? '' : ` of ${consumer}`
  return new TreatyError('DEAD_LETTER_NOT_FOUND', `there is no dead letter ${id}${whose}`, {
    hint: 'List what there is with treaty dead list.',
    details: { id },
  })
}
