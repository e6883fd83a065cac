import type { SettledEvent } from '../../messaging/index.ts'

/** What became of the messages that a run of `treaty consume` was handed. */
export interface ConsumeCounts {
  /** Written out, or run by the command, and acknowledged. */
  readonly handled: number
  readonly retried: number
  readonly dead: number
  /** Given back without counting an attempt, and not taken again since. */
  readonly released: number
  /** Not listed by the consumer, left out by --events, or completed before. */
  readonly skipped: number
}

export const noCounts: ConsumeCounts = { handled: 0, retried: 0, dead: 0, released: 0, skipped: 0 }

/** Counts as messages are settled. A message that is given back is counted once, however often, and no more once something became of it. */
export function createCounts() {
  const givenBack = new Set<string>()
  const counts = { ...noCounts } as { -readonly [Name in keyof ConsumeCounts]: number }
  return {
    add({ outcome, messageId }: Pick<SettledEvent, 'outcome' | 'messageId'>): void {
      if (outcome === 'release' || outcome === 'lost') {
        givenBack.add(messageId)
        return
      }
      givenBack.delete(messageId)
      if (outcome === 'ack') counts.handled += 1
      else if (outcome === 'retry') counts.retried += 1
      else if (outcome === 'dead') counts.dead += 1
      else counts.skipped += 1
    },
    read: (): ConsumeCounts => ({ ...counts, released: givenBack.size }),
  }
}
