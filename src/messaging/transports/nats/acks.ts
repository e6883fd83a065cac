import type { Clock, TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { type ApiError, JetStreamError } from './errors.ts'
import type { Wire, WireMessage } from './wire.ts'

/** What JetStream says of a message that it keeps. */
export interface PubAck {
  readonly seq: number
  readonly duplicate?: boolean
  /** Messages of an atomic batch. */
  readonly count?: number
}

/** Publishes with an acknowledgement each, all over one subscription. */
export interface Acks {
  /**
   * Resolves when the stream has the message.
   *
   * @throws JetStreamError, CHANNEL_NOT_FOUND where no stream listens, PUBLISH_UNCONFIRMED
   */
  publish(subject: string, data: Uint8Array, headers?: Uint8Array): Promise<PubAck>
  readonly waiting: number
  close(): void
}

const ackMs = 10_000

interface Waiter {
  readonly subject: string
  readonly sentAt: number
  resolve(ack: PubAck): void
  reject(error: unknown): void
}

export function createAcks(wire: Wire, clock: Clock): Acks {
  const inbox = wire.inbox()
  const waiters = new Map<string, Waiter>()
  let sent = 0
  let timer: TimerHandle | undefined

  const unsubscribe = wire.subscribe(`${inbox}.*`, (message) => {
    const token = message.subject.slice(inbox.length + 1)
    const waiter = waiters.get(token)
    if (waiter === undefined) return
    waiters.delete(token)
    settle(waiter, message)
  })
  const fail = (isOld: (waiter: Waiter) => boolean) => {
    for (const [token, waiter] of waiters) {
      if (!isOld(waiter)) continue
      waiters.delete(token)
      waiter.reject(unconfirmed(waiter.subject))
    }
  }
  const unwatch = wire.onChange((isUp) => {
    if (!isUp) fail(() => true)
  })
  const look = () => {
    timer = undefined
    const before = clock.monotonic() - ackMs
    fail(({ sentAt }) => sentAt <= before)
    if (waiters.size > 0) timer = clock.setTimeout(look, ackMs / 4)
  }

  return {
    get waiting() {
      return waiters.size
    },
    publish(subject, data, headers) {
      if (!wire.isUp) return Promise.reject(unreachable())
      sent += 1
      const token = sent.toString(36)
      return new Promise<PubAck>((resolve, reject) => {
        waiters.set(token, { subject, sentAt: clock.monotonic(), resolve, reject })
        timer ??= clock.setTimeout(look, ackMs / 4)
        try {
          const reply = `${inbox}.${token}`
          wire.publish(subject, data, headers === undefined ? { reply } : { reply, headers })
        } catch (error) {
          waiters.delete(token)
          reject(error)
        }
      })
    },
    close() {
      unsubscribe()
      unwatch()
      if (timer !== undefined) clock.clearTimeout(timer)
      fail(() => true)
    },
  }
}

function settle(waiter: Waiter, message: WireMessage): void {
  if (message.code === 503) {
    waiter.reject(
      new TreatyError('CHANNEL_NOT_FOUND', `no stream listens to ${waiter.subject}`, {
        hint: 'Start a process whose contract names the channel, or run treaty topology apply.',
      }),
    )
    return
  }
  try {
    const answer = JSON.parse(Buffer.from(message.data).toString()) as PubAck & { error?: ApiError }
    if (answer.error === undefined) waiter.resolve(answer)
    else waiter.reject(new JetStreamError(answer.error, waiter.subject))
  } catch (error) {
    waiter.reject(error)
  }
}

function unconfirmed(subject: string): TreatyError {
  return new TreatyError(
    'PUBLISH_UNCONFIRMED',
    `NATS did not confirm a message on ${subject}: it may or may not be there`,
    { hint: 'Publish it again with the same id.' },
  )
}

export function unreachable(): TreatyError {
  return new TreatyError('BROKER_UNREACHABLE', 'there is no connection to NATS now', {
    hint: 'Try again: Treaty goes on trying to connect.',
  })
}
