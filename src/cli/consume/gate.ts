/** Lets at most a given number of messages through: one that failed gives its place to another. */
export interface Gate {
  /** Waits for a place; false once all places are used up. */
  enter(): Promise<boolean>
  leave(isDone: boolean): void
  /** True when as many are done as may be. */
  isFull(): boolean
}

/** @param max Absent: no limit. */
export function createGate(max = Number.POSITIVE_INFINITY): Gate {
  let inside = 0
  let done = 0
  let waiting: (() => void)[] = []
  return {
    async enter() {
      while (inside + done >= max) {
        if (done >= max) return false
        await new Promise<void>((wake) => waiting.push(wake))
      }
      inside += 1
      return true
    },
    leave(isDone) {
      inside -= 1
      if (isDone) done += 1
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    },
    isFull: () => done >= max,
  }
}
