import type { Clock } from '../../src/core/clock.ts'

/** A clock on which every wait is over at once, and noted: for laws about waits, over real sockets. */
export function hastyClock(startMs = Date.UTC(2026, 0, 1)): Clock & { readonly waits: number[] } {
  const waits: number[] = []
  let passedMs = 0
  return {
    waits,
    now: () => startMs + passedMs,
    monotonic: () => passedMs,
    setTimeout(run, delayMs) {
      waits.push(delayMs)
      return setImmediate(() => {
        passedMs += delayMs
        run()
      })
    },
    clearTimeout: (handle) => clearImmediate(handle as NodeJS.Immediate),
  }
}
