import { exitCode } from './exit-code.ts'

/** 143 after SIGTERM, 130 after Ctrl-C. */
export function stopCode(signal: AbortSignal): number {
  return signal.reason === 'SIGTERM' ? exitCode.terminated : exitCode.interrupted
}
