import type { Health } from './sender-records.ts'

/** When an endpoint that takes nothing is given up. */
export interface DisableOptions {
  /** Milliseconds since the first failure in a row; any success begins anew. */
  readonly failingForMs: number
  /** Failed attempts in a row; absent: not counted. */
  readonly failures?: number
  /** Shares of the way at which to tell somebody, ascending. */
  readonly alertAt: readonly number[]
}

/** What an attempt changes. The same object when nothing does, so that a healthy endpoint costs no write. */
export function judgeHealth(
  health: Health,
  isSuccess: boolean,
  options: DisableOptions & { readonly now: number },
): { readonly health: Health; readonly alert?: number; readonly isOver: boolean } {
  if (isSuccess) {
    const isWell = health.failingSince === undefined && health.failures === 0
    return { health: isWell ? health : { failures: 0, alerted: 0 }, isOver: false }
  }
  const failingSince = health.failingSince ?? options.now
  const failures = health.failures + 1
  const byTime = (options.now - failingSince) / options.failingForMs
  const share = Math.max(byTime, options.failures === undefined ? 0 : failures / options.failures)
  const reached = options.alertAt.findLast((at) => share >= at)
  const isNews = reached !== undefined && reached > health.alerted
  return {
    health: { failingSince, failures, alerted: isNews ? reached : health.alerted },
    isOver: share >= 1,
    ...(isNews ? { alert: reached } : {}),
  }
}
