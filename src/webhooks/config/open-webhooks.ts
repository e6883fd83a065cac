import { createHash } from 'node:crypto'
import type { Message } from '../../contracts/index.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Bus, SettledEvent, Subscription } from '../../messaging/index.ts'
import type { Store } from '../../store/index.ts'
import { createReceiver, type Receiver } from '../inbound/receiver.ts'
import type { ReceiverEvent } from '../inbound/receiver-events.ts'
import { withdrawn } from '../outbound/directory.ts'
import { createSender } from '../outbound/sender.ts'
import type { SenderEvent } from '../outbound/sender-events.ts'
import type { Sender, SendOptions } from '../outbound/sender-options.ts'
import { isPlainId } from '../scheme.ts'
import { pathOfSource } from './check-config.ts'
import { configurationManager, readEndpoint, readSender } from './read-sender.ts'
import { readSource, type SourceSurroundings } from './read-source.ts'
import type { WebhooksConfig } from './webhooks-config.ts'

/** What {@link openWebhooks} runs on. */
export interface OpenWebhooksOptions extends Omit<SourceSurroundings, 'isEvent'> {
  readonly bus: Bus
  /** Claims, endpoints, deliveries and the bytes of providers are kept here; it stays the caller's to close. */
  readonly store: Store
  /** Told what became of each request that came in. */
  readonly onReceiver?: (event: ReceiverEvent) => void
  /** Told what becomes of endpoints and of deliveries that go out. */
  readonly onSender?: (event: SenderEvent) => void
  /** After each message that went from the bus to the sender. */
  readonly onSettled?: (event: SettledEvent) => void
  /** Default: the system's. */
  readonly clock?: Clock
}

/** What a configuration of webhooks runs. */
export interface Webhooks {
  /** Absent where no source is configured. */
  readonly receiver: Receiver | undefined
  /** Absent where neither a sender nor an endpoint is configured. */
  readonly sender: Sender | undefined
  /** Path → source. */
  readonly paths: Readonly<Record<string, string>>
  /** Waits up to `drainMs` for deliveries at work. The bus is closed before, so that nothing comes after. */
  close(drainMs: number): Promise<void>
}

/**
 * Opens what the section `webhooks:` says: the receiver, the sender with its endpoints, and the way from the bus to it.
 *
 * @throws OPTION_INVALID · UNKNOWN_EVENT · SECRET_NOT_FOUND · what loading a module throws
 */
export async function openWebhooks(
  config: WebhooksConfig,
  options: OpenWebhooksOptions,
): Promise<Webhooks> {
  const receiver = await openReceiver(config, options)
  const sender = await openSender(config, options)
  try {
    if (sender) await fanOut(config, sender, options)
  } catch (error) {
    await sender?.close({ drainMs: 0 })
    throw error
  }
  const paths = Object.entries(config.sources ?? {}).map(([name, source]) => [
    pathOfSource(name, source),
    name,
  ])
  return {
    receiver,
    sender,
    paths: Object.fromEntries(paths),
    close: async (drainMs) => sender?.close({ drainMs }),
  }
}

/**
 * Opens the sources alone; undefined where none is configured. For `openWebhooks`, and for whoever only replays what was quarantined.
 *
 * @throws OPTION_INVALID · UNKNOWN_EVENT · what loading a module throws
 */
export async function openReceiver(
  { sources = {} }: WebhooksConfig,
  options: OpenWebhooksOptions,
): Promise<Receiver | undefined> {
  const { bus, store, onReceiver, clock = systemClock } = options
  const events = new Set(bus.contracts.flatMap((contract) => Object.keys(contract.events)))
  const around = { ...options, isEvent: (event: string) => events.has(event) }
  const read = await Promise.all(
    Object.entries(sources).map(
      async ([name, source]) => [name, await readSource(source, around)] as const,
    ),
  )
  if (read.length === 0) return undefined
  return createReceiver({
    sources: Object.fromEntries(read),
    store,
    bus,
    clock,
    ...(onReceiver === undefined ? {} : { onEvent: onReceiver }),
  })
}

async function openSender(
  { sender: settings, endpoints }: WebhooksConfig,
  options: OpenWebhooksOptions,
): Promise<Sender | undefined> {
  if (settings === undefined && endpoints === undefined) return undefined
  const { bus, store, secret, onSender, clock = systemClock } = options
  const sender = await createSender({
    store,
    clock,
    contracts: bus.contracts,
    // What comes from the bus was checked there, by the view of its consumers.
    checksData: false,
    ...readSender(settings ?? {}, secret),
    ...(onSender === undefined ? {} : { onEvent: onSender }),
  })
  try {
    await applyEndpoints(sender, endpoints ?? {}, options)
    return sender
  } catch (error) {
    await sender.close({ drainMs: 0 })
    throw error
  }
}

/** Makes the endpoints of the store those of the configuration; those of others are left alone. */
async function applyEndpoints(
  sender: Sender,
  endpoints: NonNullable<WebhooksConfig['endpoints']>,
  { secret, onSender }: OpenWebhooksOptions,
): Promise<void> {
  for (const [id, config] of Object.entries(endpoints)) {
    const options = readEndpoint(id, config, secret)
    try {
      await sender.endpoints.put(options)
    } catch (thrown) {
      // A name that does not resolve just now must not keep everything else from starting.
      if (!isTreatyError(thrown) || thrown.code !== 'WEBHOOK_EGRESS_DENIED') throw thrown
      const error = new TreatyError(thrown.code, `${id}: ${thrown.message}`, {
        hint: thrown.hint ?? 'Check its url.',
        details: { endpoint: id },
      })
      onSender?.({ kind: 'problem', error })
    }
  }
  for (const { id, managedBy, status } of await sender.endpoints.list()) {
    const isGone = managedBy === configurationManager && !Object.hasOwn(endpoints, id)
    if (isGone && status !== 'disabled') await sender.endpoints.disable(id, withdrawn)
  }
}

/** Hands the messages of the consumers to the sender; a message is acknowledged once the sender has it durably. */
async function fanOut(
  { sender: settings }: WebhooksConfig,
  sender: Sender,
  { bus, onSettled }: OpenWebhooksOptions,
): Promise<void> {
  const subscriptions: Subscription[] = []
  try {
    for (const consumer of [settings?.consumers ?? []].flat()) {
      const handle = async (message: Message<unknown>) => {
        await sender.send(outgoing(message))
      }
      const tuning = onSettled === undefined ? {} : { onSettled }
      subscriptions.push(await bus.consume(consumer, { '*': handle }, tuning))
    }
  } catch (error) {
    await Promise.all(subscriptions.map((subscription) => subscription.stop({ drainMs: 0 })))
    throw new TreatyError('OPTION_INVALID', `webhooks cannot be sent: ${errorMessage(error)}`, {
      hint: 'Check sender.consumers: each is a consumer of a loaded contract, without handlers of its own.',
      cause: error,
    })
  }
}

function outgoing(message: Message<unknown>): SendOptions {
  const { id, type, data, source, timestamp, correlation_id: correlationId, metadata } = message
  const isUsable = isPlainId(id) && !id.includes('.')
  return {
    type,
    data,
    // The same in each attempt of the bus, so that the sender sends once.
    id: isUsable ? id : `sha256-${createHash('sha256').update(id).digest('hex')}`,
    source,
    timestamp,
    correlationId,
    ...(metadata === undefined ? {} : { metadata }),
    ...(typeof metadata?.key === 'string' ? { key: metadata.key } : {}),
  }
}
