/** Work that is left when a signal aborts. */
export interface Abandon {
  /** Settles as `work` does, or rejects when the signal aborts before. */
  race<Value>(work: Promise<Value>): Promise<Value>
}

/**
 * One listener for any number of works at a time: `Promise.race` against one long-lived promise would keep a
 * reaction for every message of the process's life.
 */
export function createAbandon(signal: AbortSignal): Abandon {
  const waiting = new Set<(reason: unknown) => void>()
  signal.addEventListener(
    'abort',
    () => {
      for (const leave of waiting) leave(signal.reason)
    },
    { once: true },
  )
  return {
    race(work) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason)
          return
        }
        waiting.add(reject)
        work.then(resolve, reject).finally(() => waiting.delete(reject))
      })
    },
  }
}
