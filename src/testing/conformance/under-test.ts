import type { Clock } from '../../core/clock.ts'
import type { Transport } from '../../messaging/transport.ts'

export interface ConnectOptions {
  /** Milliseconds after which the work of a silent process is handed on; the suite counts on it. */
  readonly leaseMs?: number
  readonly clock?: Clock
}

/** A broker of the adapter's own, as the suite uses it. */
export interface TransportUnderTest {
  /** A further connection to this same broker, connected. */
  connect(options?: ConnectOptions): Promise<Transport>
  /** Where a child process connects; absent: crash tests are listed as skipped. */
  readonly url?: string
  /** Kills the broker (SIGKILL) and starts it again on the same data and address. */
  restart?(): Promise<void>
  /** Cuts every network connection at once, without a farewell; the broker goes on. */
  cut?(): Promise<void>
  dispose?(): Promise<void>
}

/** How a child process comes to a transport: an export `(url, options) => Transport | Promise<Transport>`. */
export interface ChildTransport {
  /** Absolute URL of the module, as `import.meta.resolve` or `new URL(…, import.meta.url)` gives it. */
  readonly module: string | URL
  readonly exportName: string
}

/** The effort of the long behaviours. */
export interface Effort {
  /** How long behaviour 42 keeps up its load, in milliseconds. Default 20 000. */
  readonly soakMs: number
  /** How often the crash behaviours kill a process. Default 5. */
  readonly killRounds: number
  /** Keys of behaviour 21. Default 1000. */
  readonly orderKeys: number
  /** Messages of each key in behaviour 21. Default 100. */
  readonly orderMessages: number
  /** Messages that wait in behaviour 29. Default 100 000. */
  readonly backlog: number
}
