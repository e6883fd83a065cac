import type { Message } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import type { MessageContext } from '../core/trace.ts'
import type { Delivery, TransactionEffect } from './transport.ts'
import type { HandlerContext, Outcome, Published, PublishOptions } from './types.ts'

const ack: Outcome = { outcome: 'ack' }
const drop: Outcome = { outcome: 'drop' }

/** What a message hands down to those that its handler publishes. */
export function inheritedContext(message: Message): MessageContext {
  const { metadata } = message
  return {
    correlationId: message.correlation_id,
    causationId: message.id,
    ...(metadata?.traceparent === undefined ? {} : { traceparent: metadata.traceparent }),
    ...(metadata?.tracestate === undefined ? {} : { tracestate: metadata.tracestate }),
  }
}

/** One handler's view of one delivery, and what it asked for. */
export interface RunningContext extends HandlerContext {
  /** Effects to run inside the acknowledgement's transaction, in the order they were registered. */
  readonly effects: readonly TransactionEffect[]
  abort(reason: Error): void
}

export function createHandlerContext(options: {
  readonly delivery: Delivery
  readonly consumer: string
  readonly publish: (event: string, data: unknown, options?: PublishOptions) => Promise<Published>
  /** False where the broker has no transaction that an effect could join. */
  readonly takesEffects: boolean
}): RunningContext {
  const { delivery, consumer, takesEffects } = options
  const effects: TransactionEffect[] = []
  // Most handlers never look at the signal; a controller for each message would be waste.
  let controller: AbortController | undefined
  let aborted: Error | undefined

  return {
    attempt: delivery.attempt,
    consumer,
    effects,
    get signal() {
      controller ??= new AbortController()
      if (aborted && !controller.signal.aborted) controller.abort(aborted)
      return controller.signal
    },
    abort(reason) {
      aborted = reason
      controller?.abort(reason)
    },
    publish: options.publish as HandlerContext['publish'],
    commit: (effect) => {
      if (!takesEffects) throw effectsUnsupported(consumer)
      effects.push(effect)
    },
    ack: () => ack,
    retry: (more = {}) => ({ outcome: 'retry', ...more }),
    release: (more = {}) => ({ outcome: 'release', ...more }),
    dead: (reason) => ({ outcome: 'dead', reason }),
    drop: () => drop,
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
