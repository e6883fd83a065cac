import type { Contract, ContractTypes, Message } from '../contracts/index.ts'
import { decodeEnvelope } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { currentMessageContext, runWithMessageContext } from '../core/trace.ts'
import type { BusCore } from './bus-core.ts'
import { causalOrder } from './consume/causal-order.ts'
import { type Ingested, type IngestInput, judge, messageIdOf } from './ingest/ingest.ts'
import { ingestBatch } from './ingest/ingest-batch.ts'
import type { BrowseQuery, DeadLetter, Page, StoredMessage } from './transport.ts'
import type { Bus, DeadLetters, Handler, Trace } from './types.ts'
import { isAsked } from './watch/browse-scope.ts'
import { healthOf } from './watch/health.ts'
import { summarize } from './watch/ledger.ts'

const drainMsDefault = 30_000
const pageLimitDefault = 100
const pageLimitMax = 1000
const traceMessagesMax = 10_000

/** The bus over an opened core: every public method, none of the state. */
export function busOver<C extends ContractTypes>(core: BusCore): Bus<C> {
  const bus: Bus = {
    contracts: core.catalogue.contracts,
    transport: core.transport,
    publish: (event, data, options) => core.publish(event, data, options),
    publishMany: (messages) => core.publishMany(messages),
    outbox: ((tx: unknown) => core.outbox(tx)) as Bus['outbox'],
    outboxDesk: core.outboxDesk,
    ingest: (event, bytes, options) => ingest(core, event, bytes, options),
    ingestBatch: (bytes, options) => ingestBatch(core, bytes, options),
    consume: (consumer, handlers, options = {}) =>
      core.consume(consumer, handlers as Record<string, Handler>, options),
    request: (command, data, options) => core.request(command, data, options),
    handle: (command, handler, options = {}) => core.handle(command, handler, options),
    dead: deadLettersOf(core),
    stats: async () => {
      core.assertOpen()
      return summarize((await core.transport.stats()).counts)
    },
    trace: (correlationId) => traceOf(core, correlationId),
    messages: async ({ limit = pageLimitDefault, ...query }) => {
      core.assertOpen()
      const page = await browse(core, { ...query, limit: Math.min(limit, pageLimitMax) })
      const items = (page?.items ?? []).map((item) => ({
        ...item,
        message: readStored(core, item),
      }))
      return { items, ...(page?.next === undefined ? {} : { next: page.next }) }
    },
    health: () => healthOf(core),
    withCorrelation: (correlationId, work) =>
      runWithMessageContext({ ...currentMessageContext(), correlationId }, work),
    onError: (listener: (error: TreatyError) => void) => core.onError(listener),
    close: (options = {}) => core.close(options.drainMs ?? drainMsDefault),
    [Symbol.asyncDispose]: () => core.close(drainMsDefault),
  }
  return bus as unknown as Bus<C>
}

async function ingest(
  core: BusCore,
  event: string,
  bytes: Uint8Array,
  options: { source: string; headers?: Readonly<Record<string, string>>; id?: string },
) {
  core.assertOpen()
  checkIngest(bytes, options)
  const id = options.id === undefined ? undefined : messageIdOf(options.id, event)
  const headers = lowerCased(options.headers ?? {})
  const judged = judgeFor(core, event, { bytes, source: options.source, headers, id })
  if ('record' in judged) {
    await core.send(judged.record)
    return { id: judged.id }
  }
  const deadLetter = await core.transport.dead.put(judged.letter)
  return { id: judged.id, deadLetter, findings: judged.findings }
}

/** @throws UNKNOWN_EVENT */
function judgeFor(core: BusCore, event: string, input: IngestInput): Ingested {
  return judge(input, {
    ...core.stamps,
    known: core.catalogue.event(event),
    validator: core.readerOf(event),
    clock: core.clock,
    messageBytesMax: core.messageBytesMax,
  })
}

/** Callers without types hand over texts, or forget the source; that is theirs to mend, not the outsider's. */
function checkIngest(bytes: unknown, options: { readonly source?: unknown } | undefined): void {
  if (!(bytes instanceof Uint8Array)) {
    const found = bytes === null ? 'null' : `a ${typeof bytes}`
    throw new TreatyError(
      'OPTION_INVALID',
      `ingest takes the bytes as a Uint8Array, found ${bytes === undefined ? 'nothing' : found}`,
      { hint: 'Hand over the raw body, or Buffer.from(text).' },
    )
  }
  if (typeof options?.source !== 'string' || options.source === '') {
    throw new TreatyError('OPTION_INVALID', 'ingest needs the option source, a text', {
      hint: "Name whom the bytes came from: { source: 'github' }.",
      details: { option: 'source' },
    })
  }
}

/** Header names compare without regard to case (RFC 9110 section 5.1). */
function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
}

function deadLettersOf(core: BusCore): DeadLetters {
  const dead = core.transport.dead
  return {
    list: ({ limit = pageLimitDefault, cursor, ...filter } = {}) => {
      core.assertOpen()
      return dead.list(filter, {
        limit: Math.min(limit, pageLimitMax),
        ...(cursor === undefined ? {} : { cursor }),
      })
    },
    get: (id) => dead.get(id),
    async replay(id) {
      const letter = await dead.get(id)
      if (letter?.group === null) refuseAgain(core, letter)
      return dead.replay(id)
    },
    discard: (id) => dead.discard(id),
    count: (filter = {}) => dead.count(filter),
  }
}

/** What ingest refused goes to all consumers once replayed, so it has to fit first. */
function refuseAgain(core: BusCore, { id, messageId, event, body, headers }: DeadLetter): void {
  const source = headers['treaty-source'] ?? ''
  const judged = judgeFor(core, event, { bytes: body, source, headers, id: messageId })
  if (!('letter' in judged)) return
  throw new TreatyError(
    'SCHEMA_MISMATCH',
    `the dead letter ${id} does not satisfy the contract of ${event} yet`,
    {
      hint: 'Correct the contract, or discard the letter and let the sender send it anew.',
      findings: judged.findings,
      details: { id, event },
    },
  )
}

/** What is on the channels of the loaded contracts: those of others on the same broker are not ours to show. */
async function browse(
  { transport, catalogue }: BusCore,
  query: BrowseQuery,
): Promise<Page<StoredMessage> | undefined> {
  const channels = catalogue.contracts.flatMap((contract) => Object.values(contract.channels))
  if (channels.length === 0) return transport.browse?.(query)
  const own = { ...query, addresses: channels.map(({ address }) => address) }
  const page = await transport.browse?.(own)
  return page && { ...page, items: page.items.filter(({ record }) => isAsked(own, record.address)) }
}

/** The stored message decoded; null where its contract is not loaded or its bytes cannot be read. */
function readStored(core: BusCore, stored: StoredMessage): Message | null {
  const contract = contractOf(core, stored.record.type)
  if (!contract) return null
  try {
    return decodeEnvelope(stored.record, contract.envelope)
  } catch {
    return null // Shown as kept but unreadable: the page must not fail over one message.
  }
}

function contractOf(core: BusCore, type: string): Contract | undefined {
  const known = core.catalogue.findEvent(type)
  if (known) return known.contract
  const command = type.replace(/\.(reply|error)$/, '')
  return core.catalogue.contracts.find((contract) => Object.hasOwn(contract.commands, command))
}

async function traceOf(core: BusCore, correlationId: string): Promise<Trace> {
  core.assertOpen()
  const found: (StoredMessage & { message: Message })[] = []
  let cursor: string | undefined
  do {
    const page = await browse(core, {
      correlationId,
      limit: pageLimitMax,
      ...(cursor === undefined ? {} : { cursor }),
    })
    for (const item of page?.items ?? []) {
      const message = readStored(core, item)
      if (message) found.push({ ...item, message })
    }
    cursor = page?.next
  } while (cursor !== undefined && found.length < traceMessagesMax)
  return causalOrder(correlationId, found)
}
