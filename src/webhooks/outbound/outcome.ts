import { parseRetryAfter } from '../../http/index.ts'
import type { PostResult } from './post.ts'
import { nextDelayMs, type ScheduleOptions } from './schedule.ts'
import type { AttemptOutcome } from './sender-events.ts'

/** What follows from the answer to an attempt. */
export interface Judged {
  readonly outcome: AttemptOutcome
  /** Milliseconds until the next attempt; absent: there is none. */
  readonly delayMs?: number
  /** Milliseconds for which the endpoint asked to be left alone, with all of its deliveries. */
  readonly pauseMs?: number
}

const pauseMsMax = 3_600_000

/** Only 2xx is success: a redirect is a failure and is not followed. 410 means that nobody wants deliveries any more. */
export function judgeResult(
  attempt: number,
  result: PostResult,
  options: ScheduleOptions & { readonly now: number },
): Judged {
  const status = 'status' in result ? result.status : undefined
  if (status !== undefined && status >= 200 && status < 300) return { outcome: 'delivered' }
  if (status === 410) return { outcome: 'gone', delayMs: 0 }
  const headers = 'headers' in result ? result.headers : {}
  const told = headers['retry-after']
  const retryAfterMs =
    told === undefined ? undefined : parseRetryAfter(told, new Date(options.now))?.delayMs
  // A receiver may say that it will never take this message.
  const isAborted = headers['webhook-delivery'] === 'abort-message'
  const delayMs = isAborted
    ? undefined
    : nextDelayMs(
        {
          attempt,
          isTimeout: 'failure' in result && result.failure === 'timeout',
          ...(status === undefined ? {} : { status }),
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        },
        options,
      )
  const asksForPause = (status === 429 || status === 503) && retryAfterMs !== undefined
  const pause = asksForPause ? { pauseMs: Math.min(retryAfterMs, pauseMsMax) } : {}
  return delayMs === undefined
    ? { outcome: 'exhausted', ...pause }
    : { outcome: 'failed', delayMs, ...pause }
}
