import { type Attributes, metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { isTreatyError } from '../../core/errors.ts'
import { currentMessageContext, outgoingTraceparent } from '../../core/trace.ts'

/** What is known about a call when it begins. */
export interface CallFacts {
  readonly method: string
  readonly host: string
  readonly dependency: string
}

/** One call, watched. */
export interface CallWatch {
  /** For the request; undefined: nothing to follow. */
  readonly traceparent: string | undefined
  ended(outcome: {
    readonly status?: number
    readonly attempts: number
    readonly error?: unknown
  }): void
}

/**
 * Reports calls to OpenTelemetry, where a process has set it up: a client span and `http.client.request.duration` in seconds.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/
 */
export function createTelemetry(now: () => number): (facts: CallFacts) => CallWatch {
  const tracer = trace.getTracer('treatyjs')
  const duration = metrics
    .getMeter('treatyjs')
    .createHistogram('http.client.request.duration', { unit: 's' })
  return ({ method, host, dependency }) => {
    const begunAt = now()
    const attributes: Attributes = {
      'http.request.method': method,
      'server.address': host,
      'treaty.dependency': dependency,
    }
    const span = tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes })
    const context = span.isRecording() ? span.spanContext() : undefined
    return {
      traceparent:
        context === undefined
          ? outgoingTraceparent(currentMessageContext())
          : `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`,
      ended({ status, attempts, error }) {
        if (status !== undefined) attributes['http.response.status_code'] = status
        if (error !== undefined) {
          attributes['error.type'] = isTreatyError(error) ? error.code : 'unknown'
        }
        duration.record((now() - begunAt) / 1000, attributes)
        if (!span.isRecording()) return
        span.setAttributes(attributes)
        if (attempts > 1) span.setAttribute('http.request.resend_count', attempts - 1)
        if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      },
    }
  }
}
