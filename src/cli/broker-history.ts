import { TreatyError } from '../core/errors.ts'
import type { Transport } from '../messaging/index.ts'

/**
 * Checks that the broker can show what has been: to show nothing would say that there was nothing.
 *
 * @throws BROKER_CANNOT_LOOK_BACK
 */
export function needsHistory(
  { name, browse, capabilities }: Pick<Transport, 'name' | 'browse' | 'capabilities'>,
  what: string,
): void {
  if (browse !== undefined || capabilities.historyReplay) return
  throw new TreatyError(
    'BROKER_CANNOT_LOOK_BACK',
    `${name} keeps nothing of what was handled, and ${what} needs that`,
    {
      hint: 'Look at what comes from now on with treaty tail, without --from.',
      details: { broker: name },
    },
  )
}
