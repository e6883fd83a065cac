import type { Contract, EventValidator, Message } from '../../contracts/index.ts'
import { decodeEnvelope } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Delivery, Transport, TransportSubscription } from '../transport.ts'

/** Type of the message that answers a command. */
export const replyType = (command: string): string => `${command}.reply`
/** Type of the message that says that a command failed. */
export const errorType = (command: string): string => `${command}.error`

const failureBrand = Symbol.for('treatyjs.CommandFailure')
const replyCredit = 1000

/** What a command handler throws to answer with one of the typed errors of its contract. */
export interface CommandFailure extends Error {
  readonly error: string
  readonly data: Json
}

/**
 * An error that the contract of a command names: `throw commandFailure('declined', { reason: 'limit' })`.
 * The requester gets it as COMMAND_FAILED with `details.error` and `details.data`.
 */
export function commandFailure(error: string, data: Json): CommandFailure {
  const failure = new Error(`the command failed with "${error}"`)
  return Object.assign(failure, { error, data, [failureBrand]: true })
}

export function isCommandFailure(error: unknown): error is CommandFailure {
  return typeof error === 'object' && error !== null && failureBrand in error
}

/** The data of the message that reports a failed command. */
export function failureData(error: unknown): Json {
  if (isCommandFailure(error)) return { error: error.error, data: error.data }
  return {
    error: isTreatyError(error) ? error.code : 'HANDLER_FAILED',
    message: errorMessage(error),
  }
}

interface Waiter {
  readonly command: string
  readonly contract: Contract
  readonly validator: EventValidator | undefined
  resolve(message: Message): void
  reject(error: unknown): void
}

/** A request whose reply is awaited. */
export interface ReplyRequest {
  readonly id: string
  readonly command: string
  readonly contract: Contract
  /** Reader view of the reply; undefined where the contract gives no schema for it. */
  readonly validator: EventValidator | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** The replies that this process awaits, on one queue that vanishes with it. */
export interface ReplyDesk {
  /** Address that requests name as `reply_to`. */
  readonly address: string
  /** How many replies came when nobody waited any more. */
  lateReplies(): number
  /**
   * Stands before `send` is called, so that no reply can come too early.
   * @throws REQUEST_TIMEOUT · COMMAND_FAILED · what `send` throws
   */
  await(request: ReplyRequest, send: () => Promise<unknown>): Promise<Message>
  close(): Promise<void>
}

/** Opens the reply queue. */
export async function openReplyDesk(options: {
  readonly transport: Transport
  readonly clock: Clock
  readonly address: string
  readonly onError: (error: TreatyError) => void
}): Promise<ReplyDesk> {
  const { transport, clock, address } = options
  const waiters = new Map<string, Waiter>()
  let late = 0
  await transport.ensure(replyTopology(address), 'create')
  const subscription: TransportSubscription = await transport.subscribe(
    { group: address },
    (deliveries) => {
      for (const delivery of deliveries) answer(delivery)
      void transport
        .settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
        .catch((error: unknown) => options.onError(asTransportError(error)))
      subscription.grant(deliveries.length)
    },
  )
  subscription.grant(replyCredit)

  function answer(delivery: Delivery): void {
    const waiter = waiters.get(delivery.record.causationId ?? '')
    if (!waiter) {
      late += 1
      return
    }
    try {
      settle(waiter, decodeEnvelope(delivery.record, waiter.contract.envelope))
    } catch (cause) {
      waiter.reject(
        new TreatyError('UNDECODABLE', `the reply to "${waiter.command}" cannot be read`, {
          cause,
        }),
      )
    }
  }

  return {
    address,
    lateReplies: () => late,
    await: (request, send) => awaitReply(request, send, { waiters, clock }),
    async close() {
      for (const { command, reject } of waiters.values()) {
        reject(new TreatyError('BUS_CLOSED', `the bus was closed before "${command}" was answered`))
      }
      await subscription.stop()
    },
  }
}

async function awaitReply(
  request: ReplyRequest,
  send: () => Promise<unknown>,
  desk: { waiters: Map<string, Waiter>; clock: Clock },
): Promise<Message> {
  const { command, contract, id, signal, timeoutMs, validator } = request
  const { waiters, clock } = desk
  const { promise, resolve, reject } = Promise.withResolvers<Message>()
  promise.catch(() => {
    // Where `send` fails first, nobody else looks at this promise.
  })
  waiters.set(id, { command, contract, validator, resolve, reject })
  const timer = clock.setTimeout(() => reject(timedOut(command, timeoutMs)), timeoutMs)
  const abort = () => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    signal?.throwIfAborted()
    await Promise.race([send(), promise])
    return await promise
  } finally {
    waiters.delete(id)
    clock.clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function settle(waiter: Waiter, message: Message): void {
  if (message.type === errorType(waiter.command)) {
    const data = message.data as { error?: string; message?: string; data?: Json }
    waiter.reject(
      new TreatyError(
        'COMMAND_FAILED',
        `"${waiter.command}" failed with "${data.error ?? 'unknown'}"${data.message ? `: ${data.message}` : ''}`,
        {
          hint: 'Branch on details.error; the contract lists the errors of the command.',
          details: {
            command: waiter.command,
            error: data.error ?? 'unknown',
            ...(data.data === undefined ? {} : { data: data.data }),
          },
        },
      ),
    )
  } else if (waiter.validator && !waiter.validator.check(message)) {
    waiter.reject(
      new TreatyError(
        'SCHEMA_MISMATCH',
        `the reply to "${waiter.command}" does not satisfy its contract`,
        {
          findings: waiter.validator.findings(message),
        },
      ),
    )
  } else waiter.resolve(message)
}

function timedOut(command: string, timeoutMs: number): TreatyError {
  return new TreatyError(
    'REQUEST_TIMEOUT',
    `"${command}" was not answered within ${timeoutMs} ms`,
    {
      hint: 'Check that its handler runs, or allow more time in the contract or with timeoutMs.',
      details: { command, timeoutMs },
    },
  )
}

function asTransportError(error: unknown): TreatyError {
  return isTreatyError(error)
    ? error
    : new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}

function replyTopology(address: string) {
  return {
    channels: [{ address, ordering: 'none' as const }],
    groups: [
      {
        name: address,
        consumer: address,
        subscriptions: [{ address, types: '*' as const }],
        start: 'latest' as const,
        deadLetter: {
          address: `${address}.dlq`,
          retentionMs: 60_000,
          onDead: 'next' as const,
          onExpired: 'drop' as const,
        },
        deliveriesMax: 100,
        ephemeral: true,
      },
    ],
  }
}
