import type { Clock } from '../core/clock.ts'
import type { OutputStream } from './output.ts'

/** Told when the process is asked to end. The reason of each is the signal's name. */
export interface StopSignals {
  /** The first Ctrl-C or SIGTERM. */
  readonly stopping: AbortSignal
  /** The second. */
  readonly aborting: AbortSignal
}

/** The process as the command line sees it; a test brings its own. */
export interface Host {
  /** What follows `treaty`. */
  readonly argv: readonly string[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly input: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean }
  readonly out: OutputStream
  readonly err: OutputStream
  readonly clock: Clock
  /** Version of the package. */
  readonly version: () => string
  /** From now on signals stop the command instead of the process. */
  readonly listenForSignals: () => StopSignals
  /** Folder for traces of unforeseen errors; absent: none is written. */
  readonly crashFolder?: string
}
