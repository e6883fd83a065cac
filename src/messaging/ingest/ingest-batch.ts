import type { BatchItem, Message } from '../../contracts/index.ts'
import { batchType, decodeEnvelope, judgeMessage } from '../../contracts/index.ts'
import { isTreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { limits } from '../../core/limits.ts'
import type { BusCore } from '../bus-core.ts'
import type { IngestedBatch, IngestedItem } from '../types.ts'
import { recordFor, refusedLetter } from '../wire/wire-record.ts'

interface Arrived {
  readonly bytes: Uint8Array
  readonly source: string
  readonly headers: Readonly<Record<string, string>>
}

/** Takes a batch apart: each inner message goes its own way. See `Bus.ingestBatch`. */
export async function ingestBatch(
  core: BusCore,
  bytes: Uint8Array,
  options: { source: string; headers?: Readonly<Record<string, string>> },
): Promise<IngestedBatch> {
  core.assertOpen()
  const arrived: Arrived = { bytes, source: options.source, headers: options.headers ?? {} }
  let batch: Message
  try {
    batch = decodeEnvelope({ body: bytes, headers: {}, contentType: 'application/json' }, 'treaty')
  } catch (error) {
    if (!isTreatyError(error)) throw error
    const finding: Finding = {
      code: error.code,
      severity: 'error',
      pointer: '',
      message: error.message,
    }
    return refuseWhole(core, arrived, { id: core.stamps.nextId(), findings: [finding] })
  }
  const id = typeof batch.id === 'string' && batch.id !== '' ? batch.id : core.stamps.nextId()
  const wrong = wholeFindings(core, batch)
  if (wrong.findings.length > 0) return refuseWhole(core, arrived, { id, findings: wrong.findings })
  const inner = (batch.data as unknown as { messages: readonly Message[] }).messages
  const items = await Promise.all(
    wrong.items.map((item) =>
      takeItem(core, arrived, { item, message: inner[item.index] as Message }),
    ),
  )
  return { id, items }
}

/** What is wrong with the batch itself, apart from the messages in it. */
function wholeFindings(
  core: BusCore,
  batch: Message,
): { findings: Finding[]; items: readonly BatchItem[] } {
  if (batch.type !== batchType) {
    const message = `expected a message of type "${batchType}", found ${JSON.stringify(batch.type)}`
    return {
      findings: [{ code: 'SCHEMA_MISMATCH', severity: 'error', pointer: '/type', message }],
      items: [],
    }
  }
  const { findings, items = [] } = judgeMessage(batch, core.readerView, limits.depthMax)
  const own = findings.filter(
    ({ severity, pointer }) => severity === 'error' && !/^\/data\/messages\/\d/.test(pointer ?? ''),
  )
  return { findings: own, items }
}

async function refuseWhole(
  core: BusCore,
  arrived: Arrived,
  why: { id: string; findings: readonly Finding[] },
): Promise<IngestedBatch> {
  const deadLetter = await core.transport.dead.put(
    refusedLetter({
      messageId: why.id,
      event: batchType,
      known: undefined,
      reason: why.findings[0]?.code ?? 'SCHEMA_MISMATCH',
      findings: why.findings,
      body: arrived.bytes,
      headers: arrived.headers,
      source: arrived.source,
      at: core.clock.now(),
    }),
  )
  return { id: why.id, items: [], deadLetter, findings: why.findings }
}

async function takeItem(
  core: BusCore,
  arrived: Arrived,
  given: { item: BatchItem; message: Message },
): Promise<IngestedItem> {
  const { item, message } = given
  const { index } = item
  const known = core.catalogue.findEvent(message?.type)
  if (item.ok && known) {
    await core.send(recordFor(message, known, { headers: arrived.headers, dedup: true }))
    return { index, id: message.id }
  }
  const id = item.id ?? core.stamps.nextId()
  const findings =
    item.findings.length > 0
      ? item.findings
      : [
          {
            code: 'UNKNOWN_EVENT',
            severity: 'error',
            message: 'this message type cannot be ingested',
          } as const,
        ]
  const deadLetter = await core.transport.dead.put(
    refusedLetter({
      messageId: id,
      // A type that nobody knows must not open a row of its own in the ledger.
      event: known?.event.name ?? batchType,
      known,
      reason: findings.find(({ severity }) => severity === 'error')?.code ?? 'SCHEMA_MISMATCH',
      findings,
      body: Buffer.from(JSON.stringify(message) ?? 'null'),
      headers: arrived.headers,
      source: arrived.source,
      at: core.clock.now(),
    }),
  )
  return { index, id, deadLetter, findings }
}
