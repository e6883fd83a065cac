import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import { positionOf } from '../sqlite/position.ts'
import { createBatcher } from './batches.ts'
import { publishArguments, refusalOf } from './records.ts'
import { type Session, shardOf } from './session.ts'
import { publishSql } from './settle.ts'

/** Records and bytes of one batch at most; a single call may be larger. */
const batchMax = 1000

export interface Publisher {
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  idle(): Promise<void>
}

/** Stores records in the order of the calls, those of many calls in one transaction. */
export function createPublisher(session: Session): Publisher {
  const batcher = createBatcher<readonly OutgoingRecord[], readonly PublishResult[]>({
    sizeOf: (records) => records.length,
    sizeMax: batchMax,
    async run(calls) {
      const results = await store(session, calls.flat())
      let at = 0
      return calls.map(({ length }) => {
        at += length
        return results.slice(at - length, at)
      })
    },
  })
  return {
    async publish(records, signal) {
      signal?.throwIfAborted()
      if (records.length === 0) return []
      return [...(await batcher.add(records, signal))]
    },
    idle: batcher.idle,
  }
}

async function store(
  session: Session,
  records: readonly OutgoingRecord[],
): Promise<PublishResult[]> {
  const results = records.map((record): PublishResult | undefined => {
    const error = refusalOf(record, session.messageBytesMax)
    return error && { error }
  })
  const taken = [...records.entries()].filter(([index]) => results[index] === undefined)
  if (taken.length > 0) {
    const [row] = await session.access
      .write(
        publishSql(session.schema),
        [shardOf(session, 'publish'), ...publishArguments(taken.map(([, record]) => record))],
        'treaty publish',
      )
      .catch((error: unknown) => {
        throw isOutcomeUnknown(error) ? unconfirmed(session, error) : error
      })
    const [seqs, duplicates] = [row?.seqs as string[], row?.duplicates as boolean[]]
    for (const [at, [index, { id }]] of taken.entries()) {
      const position = positionOf(Number(seqs[at]))
      results[index] =
        duplicates[at] === true ? { id, position, duplicate: true } : { id, position }
    }
    session.wake((row?.touched as number[] | null) ?? [])
  }
  return results as PublishResult[]
}

const isOutcomeUnknown = (error: unknown): boolean =>
  isTreatyError(error) && error.details?.outcome === 'unknown'

function unconfirmed({ schema }: Session, cause: unknown): TreatyError {
  return new TreatyError(
    'PUBLISH_UNCONFIRMED',
    `the connection to PostgreSQL (schema ${schema}) ended before it confirmed`,
    { hint: 'Publish again with the same id: consumers recognise the repeat by it.', cause },
  )
}
