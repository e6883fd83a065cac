import { exitCode } from './exit-code.ts'

/** 143 after SIGTERM, 130 after Ctrl-C. */
export function stopCode(signal: AbortSignal): number {
  return signal.reason === 'SIGTERM' ? exitCode.terminated : exitCode.interrupted
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
