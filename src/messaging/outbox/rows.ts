import { createHash } from 'node:crypto'
import type { Contract } from '../../contracts/index.ts'
import { dedupWindowMsDefault } from '../topology/topology.ts'
import type { OutgoingRecord } from '../transport.ts'

/** Parts of an outbox that are sent independently of each other. Fixed: rows carry the number. */
export const shardCount = 8

/** A record in the columns of an outbox. */
export interface OutboxColumns {
  readonly shard: number
  readonly chain: string | null
  readonly messageId: string
  readonly event: string
  readonly address: string
  /** Everything of the record but its body and what has a column. */
  readonly envelope: string
  readonly body: Uint8Array
}

/** What of a message must stay in order: all of a channel that is ordered so, else its key, else nothing. */
function chainOf(contract: Contract, record: OutgoingRecord): string | null {
  const channel = Object.values(contract.channels).find(({ address }) => address === record.address)
  if (channel?.ordering === 'per-channel') return `${record.address}\n`
  if (channel?.ordering === 'none' || record.key === undefined) return null
  const key = `${record.address}\n${record.key}`
  // Long keys would not fit into an index.
  return key.length <= 400 ? key : createHash('sha256').update(key).digest('hex')
}

export function columnsOf(contract: Contract, record: OutgoingRecord): OutboxColumns {
  const { id, type, address, body, ...rest } = record
  const chain = chainOf(contract, record)
  return {
    shard:
      createHash('sha1')
        .update(chain ?? id)
        .digest()
        .readUInt16BE(0) % shardCount,
    chain,
    messageId: id,
    event: type,
    address,
    // A relay that is killed sends again what it has sent: the broker shall know it by its id.
    envelope: JSON.stringify({
      ...rest,
      dedupWindowMs: rest.dedupWindowMs ?? dedupWindowMsDefault,
    }),
    body,
  }
}

/** The record that {@link columnsOf} took apart. */
export function recordOf(columns: Omit<OutboxColumns, 'shard' | 'chain'>): OutgoingRecord {
  const rest = JSON.parse(columns.envelope) as Omit<
    OutgoingRecord,
    'id' | 'type' | 'address' | 'body'
  >
  return {
    ...rest,
    id: columns.messageId,
    type: columns.event,
    address: columns.address,
    body: columns.body,
  }
}

/** The key of a stored envelope, for people. */
export function keyOf(envelope: string): string | null {
  return (JSON.parse(envelope) as { key?: string }).key ?? null
}
