import { AsyncLocalStorage } from 'node:async_hooks'
import { context, isSpanContextValid, trace } from '@opentelemetry/api'

/** What a message inherits from the work that published it. */
export interface MessageContext {
  readonly correlationId: string
  /** Id of the message being handled; absent outside of a handler. */
  readonly causationId?: string
  /** @see W3C Trace Context section 3.2 */
  readonly traceparent?: string
  readonly tracestate?: string
}

const storage = new AsyncLocalStorage<MessageContext>()

/** The context of the message being handled, also behind awaits, timers and callbacks. */
export function currentMessageContext(): MessageContext | undefined {
  return storage.getStore()
}

/** Runs `work` so that what it publishes inherits `messageContext`. */
export function runWithMessageContext<T>(messageContext: MessageContext, work: () => T): T {
  return storage.run(messageContext, work)
}

/**
 * The `traceparent` for an outgoing message: that of the active OpenTelemetry span, else the one
 * of the message being handled; undefined where there is neither.
 */
export function outgoingTraceparent(inherited: MessageContext | undefined): string | undefined {
  const span = trace.getSpanContext(context.active())
  if (span && isSpanContextValid(span)) {
    const flags = span.traceFlags.toString(16).padStart(2, '0')
    return `00-${span.traceId}-${span.spanId}-${flags}`
  }
  return inherited?.traceparent
}
