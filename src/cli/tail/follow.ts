import { decodeEnvelope } from '../../contracts/index.ts'
import { delay } from '../../core/clock.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Bus } from '../../messaging/index.ts'
import type { CommandContext } from '../command.ts'
import { aborted } from '../stopping.ts'

/** A message as it is shown. */
export type TailRow = Awaited<ReturnType<Bus['messages']>>['items'][number]

export interface TailQuery {
  readonly event?: string
  readonly correlationId?: string
  /** Epoch milliseconds; undefined: only what comes from now on. */
  readonly from?: number
}

const lookEveryMs = 250
const pageSize = 200
/** How far back a look goes for what was published a moment ago and could not be seen yet. */
const justNowMs = 60_000
/** Messages that are remembered, so that none is shown twice. */
const seenMax = 100_000

/** Messages without consuming them, until stopped or `wants` says that it has enough. */
export async function follow(
  bus: Bus,
  query: TailQuery,
  look: { readonly context: CommandContext; readonly take: (row: TailRow) => Promise<boolean> },
): Promise<void> {
  if (bus.transport.browse === undefined) await listen(bus, query, look)
  else await lookAgain(bus, query, look)
}

/** Pages through what is kept, and again and again through what has come since. */
async function lookAgain(
  bus: Bus,
  { from, ...query }: TailQuery,
  { context, take }: Parameters<typeof follow>[2],
): Promise<void> {
  const { clock, stopping } = context
  // What is named cannot come before it is known: a position that has passed stays passed.
  const seen = new Set<string>()
  let since = from ?? clock.now() - justNowMs
  let cursor: string | undefined
  let isOld = from === undefined
  let begunAt = clock.monotonic()
  while (!stopping.aborted) {
    const page = await bus.messages({
      ...query,
      from: since,
      limit: pageSize,
      ...(cursor === undefined ? {} : { cursor }),
    })
    for (const row of page.items) {
      const { id, publishedAt } = row.record
      if (seen.has(id) || stopping.aborted) continue
      seen.add(id)
      if (isOld || publishedAt < since) continue
      if (!(await take(row))) return
    }
    if (page.next !== undefined) {
      cursor = page.next
      if (seen.size > seenMax) seen.clear()
      continue
    }
    isOld = false
    // A broker that has to search for what is new is not kept busy with it.
    const pauseMs = Math.max(lookEveryMs, 4 * (clock.monotonic() - begunAt))
    await delay(clock, pauseMs, stopping).catch(() => undefined)
    begunAt = clock.monotonic()
    since = Math.max(since, clock.now() - justNowMs - pauseMs)
  }
}

/** Where nothing can be looked up: a group of its own that ends with the connection, and disturbs nobody. */
async function listen(
  bus: Bus,
  query: TailQuery,
  { context, take }: Parameters<typeof follow>[2],
): Promise<void> {
  const { transport, contracts } = bus
  const name = `treaty.tail.${createIdSource(context.clock)()}`
  const addresses = contracts.flatMap((contract) =>
    Object.values(contract.channels).map(({ address }) => address),
  )
  await transport.ensure(
    {
      channels: [],
      groups: [
        {
          name,
          consumer: 'tail',
          subscriptions: [...new Set(addresses)].map((address) => ({ address, types: '*' })),
          start: query.from === undefined ? 'latest' : 'earliest',
          deadLetter: {
            address: `${name}.dlq`,
            retentionMs: 60_000,
            onDead: 'next',
            onExpired: 'drop',
          },
          deliveriesMax: 100,
          ephemeral: true,
        },
      ],
    },
    'create',
  )
  const end = new AbortController()
  let taking = Promise.resolve()
  const subscription = await transport.subscribe({ group: name }, (deliveries) => {
    taking = taking.then(async () => {
      for (const delivery of deliveries) {
        const { record } = delivery
        const isWanted =
          !end.signal.aborted &&
          (query.event ?? record.type) === record.type &&
          (query.correlationId ?? record.correlationId) === record.correlationId &&
          record.publishedAt >= (query.from ?? 0)
        if (isWanted && !(await take({ record, consumers: [], message: decoded(bus, record) }))) {
          end.abort()
        }
      }
      await transport.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
      subscription.grant(deliveries.length)
    })
  })
  subscription.grant(pageSize)
  await Promise.race([aborted(context.stopping), aborted(end.signal)])
  await subscription.stop()
  await taking
}

function decoded(bus: Bus, record: TailRow['record']): TailRow['message'] {
  const contract = bus.contracts.find(({ events }) => Object.hasOwn(events, record.type))
  if (contract === undefined) return null
  try {
    return decodeEnvelope(record, contract.envelope)
  } catch {
    return null // Shown without its data: one that cannot be read must not end the look.
  }
}
