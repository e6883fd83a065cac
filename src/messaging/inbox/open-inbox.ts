import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import { outboxPlace } from '../outbox/open-outbox.ts'
import type { InboxDatabase } from './inbox.ts'

/** Opens the inbox of a URL. @throws OPTION_INVALID, STORE_OUTDATED under `verify`, and the STORE_ codes of opening the database */
export async function openInbox(
  url: string,
  options: {
    readonly clock: Clock
    readonly random: Random
    readonly tables: 'create' | 'verify'
  },
): Promise<InboxDatabase> {
  const place = outboxPlace(url)
  if (place.kind === 'postgres') {
    const { openPostgresInbox } = await import('./postgres-inbox.ts')
    return openPostgresInbox(place.url, options)
  }
  const { openSqliteInbox } = await import('./sqlite-inbox.ts')
  return openSqliteInbox(place.path, options)
}
