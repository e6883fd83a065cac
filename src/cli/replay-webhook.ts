import type { Bus, DeadLetter } from '../messaging/index.ts'
import type { CommandContext } from './command.ts'

/**
 * Replays what a webhook source of the configuration quarantined: mapped again, as the configuration says now. Undefined: the letter
 * is no business of a source.
 *
 * @throws SCHEMA_MISMATCH · WEBHOOK_UNMAPPED with the findings · the STORE_ codes
 */
export async function replayOfWebhook(
  context: CommandContext,
  bus: Bus,
  letter: DeadLetter,
): Promise<true | undefined> {
  const settings = await context.settings()
  if (letter.group !== null || settings.webhooks?.sources === undefined) return undefined
  const [{ openStore }, { storeUrlFor }, { openReceiver }, { loadWebhookModule }] =
    await Promise.all([
      import('../store/index.ts'),
      import('../messaging/index.ts'),
      import('../webhooks/index.ts'),
      import('./start/webhooks.ts'),
    ])
  const url = settings.store ?? storeUrlFor(context.reveal(settings.transport))
  const store = await openStore(context.reveal(url), { clock: context.clock })
  try {
    const receiver = await openReceiver(settings.webhooks, {
      bus,
      store,
      clock: context.clock,
      load: (path) => loadWebhookModule(settings.folder, path),
      // Nothing is verified here: what was quarantined was verified when it came.
      secret: () => 'not looked up',
    })
    return await receiver?.replay(letter)
  } finally {
    await store.close()
  }
}
