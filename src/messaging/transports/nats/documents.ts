import type { Acks } from './acks.ts'
import { isApiError, isConflict, JetStreamError, jsCode } from './errors.ts'
import { readAll, readLast } from './reads.ts'
import type { Wire } from './wire.ts'
import { headerBlock } from './wire-headers.ts'

/** A small JSON value under a subject of a stream that keeps the newest of each. */
export interface Document<Value> {
  readonly subject: string
  readonly seq: number
  readonly timeNs: bigint
  readonly value: Value
}

/** Documents with compare-and-set. */
export interface Documents {
  read<Value>(subject: string): Promise<Document<Value> | undefined>
  all<Value>(filter: string): Promise<Document<Value>[]>
  /**
   * Writes where the newest is still `expected` (0: there is none); its new number, or `conflict`.
   * Without `expected`: whatever is there.
   */
  write(subject: string, value: unknown, expected?: number): Promise<number | 'conflict'>
  /** All or none, in order; the numbers of each. */
  writeTogether(
    items: readonly {
      readonly subject: string
      readonly value: unknown
      readonly expected: number
    }[],
  ): Promise<readonly number[] | 'conflict'>
  /** Removes all documents below a subject or filter. */
  purge(filter: string): Promise<void>
  /** Removes one version. False: it is not there any more. */
  remove(seq: number): Promise<boolean>
}

export function createDocuments(wire: Wire, acks: Acks, stream: string): Documents {
  return {
    async read<Value>(subject: string) {
      const found = await readLast(wire, stream, subject)
      if (found === undefined) return undefined
      const { seq, timeNs, data } = found
      return { subject, seq, timeNs, value: parse(data) as Value }
    },
    async all<Value>(filter: string) {
      const found = await readAll(wire, stream, filter)
      return found.map(({ subject, seq, timeNs, data }) => ({
        subject,
        seq,
        timeNs,
        value: parse(data) as Value,
      }))
    },
    async write(subject, value, expected) {
      const orders: Record<string, string> =
        expected === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': String(expected) }
      try {
        const bytes = Buffer.from(JSON.stringify(value))
        return (await acks.publish(subject, bytes, headerBlock({}, orders))).seq
      } catch (error) {
        if (isConflict(error)) return 'conflict'
        throw error
      }
    },
    writeTogether: (items) => writeTogether(wire, acks, items),
    async purge(filter) {
      await wire.api(`STREAM.PURGE.${stream}`, { filter })
    },
    async remove(seq) {
      try {
        await wire.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true })
        return true
      } catch (error) {
        if (
          isApiError(error, jsCode.messageNotFound, jsCode.sequenceNotFound, jsCode.noMessageFound)
        )
          return false
        throw error
      }
    },
  }
}

interface Item {
  readonly subject: string
  readonly value: unknown
  readonly expected: number
}

async function writeTogether(
  wire: Wire,
  acks: Acks,
  items: readonly Item[],
): Promise<readonly number[] | 'conflict'> {
  const batch = crypto.randomUUID()
  try {
    const acknowledged = items.map(({ subject, value, expected }, at) => {
      const isLast = at === items.length - 1
      const orders = {
        'Nats-Batch-Id': batch,
        'Nats-Batch-Sequence': String(at + 1),
        'Nats-Expected-Last-Subject-Sequence': String(expected),
        ...(isLast ? { 'Nats-Batch-Commit': '1' } : {}),
      }
      const bytes = Buffer.from(JSON.stringify(value))
      const block = headerBlock({}, orders)
      if (isLast) return acks.publish(subject, bytes, block)
      wire.publish(subject, bytes, { headers: block })
      return undefined
    })
    const last = (await acknowledged.at(-1))?.seq ?? 0
    return items.map((_, at) => last - items.length + 1 + at)
  } catch (error) {
    // Whatever the reason, one by one each gets an answer of its own.
    if (error instanceof JetStreamError) return 'conflict'
    throw error
  }
}

function parse(data: Uint8Array): unknown {
  return JSON.parse(Buffer.from(data).toString())
}
