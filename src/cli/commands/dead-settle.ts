import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { deadLetterNotFound, findDeadLetter } from '../dead-letter.ts'
import { withBus } from '../project.ts'
import { replayOfWebhook } from '../replay-webhook.ts'

interface Data {
  readonly id: string
  readonly messageId: string
  readonly event: string
  readonly consumer: string | null
  readonly action: 'replayed' | 'discarded'
}

/** Hands a dead letter to its consumer again. */
export const deadReplay: Command<CommandTable['dead replay'], Data> = {
  run: ({ id, consumer }, context) => settle(context, { id, consumer, action: 'replayed' }),
}

/** Deletes a dead letter for good. */
export const deadDiscard: Command<CommandTable['dead discard'], Data> = {
  run: ({ id, consumer }, context) => settle(context, { id, consumer, action: 'discarded' }),
}

async function settle(
  context: CommandContext,
  { id, consumer, action }: { id: string; consumer: string | undefined; action: Data['action'] },
) {
  const data = await withBus(context, async (bus): Promise<Data> => {
    const letter = await findDeadLetter(bus, id, consumer)
    const isDone =
      action === 'discarded'
        ? await bus.dead.discard(id)
        : ((await replayOfWebhook(context, bus, letter)) ?? (await bus.dead.replay(id)))
    // Somebody else was faster.
    if (!isDone) throw deadLetterNotFound(id)
    const { messageId, event, consumer: owner } = letter
    return { id, messageId, event, consumer: owner, action }
  })
  return {
    data,
    toText: ({ green, symbols }: { green: (text: string) => string; symbols: { ok: string } }) => {
      const whose = data.consumer === null ? '' : ` for ${data.consumer}`
      return `${green(`${symbols.ok} ${action}`)}  ${data.event}  ${data.messageId}${whose}`
    },
  }
}
