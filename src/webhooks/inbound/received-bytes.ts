import type { Clock } from '../../core/clock.ts'
import type { Store } from '../../store/index.ts'
import type { InboundDelivery } from './delivery.ts'

/** What a provider sent, as it came. */
export interface ReceivedBytes {
  readonly source: string
  /** Epoch milliseconds. */
  readonly receivedAt: number
  /** In lower case; without credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly rawBody: Uint8Array
}

/** Header of a message, and of its dead letters, that says where the provider's bytes are kept. */
export const receivedHeader = 'treaty-webhook-received'

const pageSize = 500
const collectionOf = (source: string) => `webhook.received.${source}`

interface Row {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Keys sort by time, so that the oldest are found without looking at the others. */
function keyOf(receivedAt: number, messageId: string): string {
  return `${String(receivedAt).padStart(16, '0')}-${messageId}`
}

/** Keeps the bytes beside the message that was made of them; resolves once they are durable. */
export async function keepReceived(
  store: Store,
  { source, id, receivedAt, headers, rawBody }: InboundDelivery,
  messageId: string,
): Promise<void> {
  const row: Row = { id, headers, body: Buffer.from(rawBody).toString('base64') }
  const key = keyOf(receivedAt, messageId)
  await store.records.put(collectionOf(source), key, row as never)
}

/** The value of {@link receivedHeader} for a delivery. */
export function receivedPlace({ source, receivedAt }: InboundDelivery, messageId: string): string {
  return `${source}/${keyOf(receivedAt, messageId)}`
}

/**
 * What a provider sent, by the headers of the message or dead letter that came of it; undefined where the message is not of
 * a webhook, holds the provider's own bytes, or is older than they are kept.
 */
export async function receivedBytes(
  store: Store,
  headers: Readonly<Record<string, string>>,
): Promise<ReceivedBytes | undefined> {
  const [, source, key] =
    /^([\w.-]{1,100})\/(\d{16}-[\w-]{1,64})$/.exec(headers[receivedHeader] ?? '') ?? []
  if (source === undefined || key === undefined) return undefined
  const record = await store.records.get(collectionOf(source), key)
  if (!record) return undefined
  const row = record.value as unknown as Row
  const rawBody = Buffer.from(row.body, 'base64')
  return { source, receivedAt: Number(key.slice(0, 16)), headers: row.headers, rawBody }
}

/** Deletes what is older than `keepMs`. */
export async function purgeReceived(
  store: Store,
  source: string,
  { keepMs, clock }: { readonly keepMs: number; readonly clock: Clock },
): Promise<void> {
  const before = keyOf(Math.max(0, clock.now() - keepMs), '')
  for (;;) {
    const page = await store.records.list(collectionOf(source), { limit: pageSize })
    const old = page.filter(({ key }) => key < before)
    await Promise.all(old.map(({ key }) => store.records.delete(collectionOf(source), key)))
    if (old.length < pageSize) return
  }
}
