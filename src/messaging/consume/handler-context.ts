import type { Message } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { MessageContext } from '../../core/trace.ts'
import type { Delivery, TransactionEffect } from '../transport.ts'
import type { HandlerContext, Outcome, Published, PublishOptions } from '../types.ts'

const ack: Outcome = { outcome: 'ack' }
const drop: Outcome = { outcome: 'drop' }

const retry: HandlerContext['retry'] = (more = {}) => ({ outcome: 'retry', ...more })
const release: HandlerContext['release'] = (more = {}) => ({ outcome: 'release', ...more })
const dead: HandlerContext['dead'] = (reason) => ({ outcome: 'dead', reason })
const acked: HandlerContext['ack'] = () => ack
const dropped: HandlerContext['drop'] = () => drop

/** What a message hands down to those that its handler publishes. */
export function inheritedContext(message: Message): MessageContext {
  const { metadata, correlation_id: correlationId, id: causationId } = message
  const traceparent = metadata?.traceparent
  const tracestate = metadata?.tracestate
  if (traceparent === undefined && tracestate === undefined) return { correlationId, causationId }
  return {
    correlationId,
    causationId,
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  }
}

/** One handler's view of one delivery, and what it asked for. */
export interface RunningContext extends HandlerContext {
  /** Effects to run inside the acknowledgement's transaction, in the order they were registered. */
  readonly effects: readonly TransactionEffect[]
  abort(reason: Error): void
}

export interface ContextOptions {
  readonly consumer: string
  readonly publish: (event: string, data: unknown, options?: PublishOptions) => Promise<Published>
  /** False where the broker has no transaction that an effect could join. */
  readonly takesEffects: boolean
}

const noEffects: readonly TransactionEffect[] = []

/**
 * The context of one delivery. Its functions can be taken out of it; those that depend on nothing are the same for
 * all, so that a message costs no more than this object.
 */
export function createHandlerContext(delivery: Delivery, options: ContextOptions): RunningContext {
  return new Context(delivery, options)
}

class Context implements RunningContext {
  readonly attempt: number
  readonly consumer: string
  readonly publish: HandlerContext['publish']
  readonly commit: HandlerContext['commit']
  readonly ack = acked
  readonly retry = retry
  readonly release = release
  readonly dead = dead
  readonly drop = dropped
  effects = noEffects
  // Most handlers never look at the signal; a controller for each message would be waste.
  #controller: AbortController | undefined
  #aborted: Error | undefined

  constructor(delivery: Delivery, { consumer, publish, takesEffects }: ContextOptions) {
    this.attempt = delivery.attempt
    this.consumer = consumer
    this.publish = publish as HandlerContext['publish']
    this.commit = (effect) => {
      if (!takesEffects) throw effectsUnsupported(consumer)
      this.effects = [...this.effects, effect as TransactionEffect]
    }
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    const { signal } = this.#controller
    if (this.#aborted && !signal.aborted) this.#controller.abort(this.#aborted)
    return signal
  }

  abort(reason: Error): void {
    this.#aborted = reason
    this.#controller?.abort(reason)
  }
}

/** Why an effect cannot be part of an acknowledgement. */
export function effectsUnsupported(consumer: string): TreatyError {
  return new TreatyError(
    'EFFECTS_UNSUPPORTED',
    `"${consumer}" gave an effect, and this broker has no transaction that it could join`,
    {
      hint: 'Write the effect together with an inbox row in your own database, or make it idempotent by the message id.',
    },
  )
}
