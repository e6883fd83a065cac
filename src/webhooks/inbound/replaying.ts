import { TreatyError } from '../../core/errors.ts'
import type { Bus, DeadLetter } from '../../messaging/index.ts'
import type { Store } from '../../store/index.ts'
import type { InboundDelivery } from './delivery.ts'
import { receivedBytes, receivedHeader } from './received-bytes.ts'
import { jsonOf } from './request-facts.ts'
import type { Source } from './source.ts'
import { idHeader, type Publisher, sourceHeader } from './store-delivery.ts'

/** What the replay of a quarantined delivery works on. */
export interface ReplayParts {
  readonly bus: Bus
  readonly store: Store
  readonly publisher: Publisher
  /** The source of this name as it is configured now. */
  readonly sourceOf: (name: string) => Source | undefined
}

/**
 * Maps a delivery that was quarantined again, as its source says today, hands it to the bus under the same id, and takes the
 * dead letter away. A letter that a consumer left is no business of the mapping: its message was already made.
 *
 * @returns True: done. Undefined: the letter is of no webhook, of a source that is configured no more, or the provider's bytes are
 *   not kept; nothing was done then.
 * @throws SCHEMA_MISMATCH · WEBHOOK_UNMAPPED with the findings of today's mapping; the letter stays
 */
export async function replayQuarantined(
  letter: DeadLetter,
  { bus, store, publisher, sourceOf }: ReplayParts,
): Promise<true | undefined> {
  if (letter.group !== null) return undefined
  const source = sourceOf(letter.headers[sourceHeader] ?? '')
  const delivery = source && (await deliveryOf(letter, source.name, store))
  if (!source || !delivery) return undefined
  const stored = await publisher.again(source, delivery)
  if (stored.outcome === 'published') {
    // A crash before this leaves the letter, and a second replay makes the same id.
    await bus.dead.discard(letter.id)
    return true
  }
  const { id, event } = letter
  if (stored.outcome === 'ignored') {
    throw new TreatyError(
      'WEBHOOK_UNMAPPED',
      `the mapping of ${source.name} makes no event of the dead letter ${id}: it ignores it`,
      { hint: 'Discard the letter, or correct the mapping.', details: { id, event } },
    )
  }
  const unmapped = stored.findings.some(({ code }) => code === 'WEBHOOK_UNMAPPED')
  throw new TreatyError(
    unmapped ? 'WEBHOOK_UNMAPPED' : 'SCHEMA_MISMATCH',
    `the dead letter ${id} still makes no valid event by the mapping of ${source.name}`,
    {
      hint: 'Correct the mapping or the contract, or discard the letter.',
      findings: stored.findings,
      details: { id, event },
    },
  )
}

/** The delivery as it came; undefined where only what was made of it is left. */
async function deliveryOf(
  { body, headers, failedAt, firstFailedAt }: DeadLetter,
  source: string,
  store: Store,
): Promise<InboundDelivery | undefined> {
  const isMade = headers[receivedHeader] !== undefined
  const received = isMade ? await receivedBytes(store, headers) : undefined
  if (isMade && received === undefined) return undefined
  const rawBody = received?.rawBody ?? body
  return {
    source,
    id: decodeURIComponent(headers[idHeader] ?? ''),
    headers: received?.headers ?? withoutOurs(headers),
    rawBody,
    json: jsonOf(rawBody),
    receivedAt: received?.receivedAt ?? firstFailedAt ?? failedAt,
    secretIndex: undefined,
    url: '',
  }
}

function withoutOurs(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('treaty-')))
}
