import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isTreatyError } from '../../../src/index.ts'
import { mendedFile } from './journal.ts'
import type { RoleContext } from './roles.ts'

const pauseMs = 1000

type Verdict = 'replaying' | 'discarding' | 'left'

/** The same for every desk, whichever of them gets to it. What blocks its key cannot be left. */
export function verdictOn(consumer: string, id: string, reason: string): Verdict {
  const draw = createHash('sha256').update(`${consumer} ${id}`).digest().readUInt8(0) % 3
  if (reason === 'EXPIRED') return draw === 0 ? 'discarding' : 'left'
  if (draw === 2) return consumer === 'strict' ? 'discarding' : 'left'
  return draw === 0 ? 'replaying' : 'discarding'
}

/** Looks through the dead letters until it is ended: mends and replays some, throws some away, leaves the others. */
export async function clearDesk(context: RoleContext): Promise<void> {
  const { journal, ended, ready } = context
  ready()
  while (!ended.aborted) {
    try {
      await lookThrough(context)
    } catch (error) {
      const code = isTreatyError(error) ? error.code : 'UNKNOWN'
      journal.write({ kind: 'problem', code, text: String(error) })
    }
    await sleep(pauseMs)
  }
}

async function lookThrough({ bus, order, journal, ended }: RoleContext): Promise<void> {
  let cursor: string | undefined
  do {
    const page = await bus.dead.list({ limit: 200, ...(cursor === undefined ? {} : { cursor }) })
    for (const { id: letter, messageId: id, consumer, reason } of page.items) {
      if (consumer === null || ended.aborted) continue
      const kind = verdictOn(consumer, id, reason)
      if (kind === 'left') continue
      journal.write({ kind, id, consumer })
      if (kind === 'discarding') await bus.dead.discard(letter)
      else {
        writeFileSync(mendedFile(order.folder, consumer, id), '')
        await bus.dead.replay(letter)
      }
    }
    cursor = page.next
  } while (cursor !== undefined)
}
