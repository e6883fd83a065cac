import type { Clock } from '../../core/clock.ts'
import type { Store } from '../../store/store.ts'
import type { ChildStore, StoreChild } from './child-process.ts'

/** A store with data of its own, as the suite uses it. */
export interface StoreUnderTest {
  /** A further connection to these same data. */
  connect(): Promise<Store>
  /** Lets this many milliseconds pass on the store's clock. Default: really waits. */
  passTime?(ms: number): Promise<void>
  /** Where a child process connects; absent: what needs processes is listed as skipped. */
  readonly url?: string
  /** Opens what `backup` wrote, to look inside. */
  openBackup?(file: string): Promise<Store>
  /** Marks the data as written by a newer Treaty; connections are closed before. */
  makeNewer?(): Promise<void>
  /** After every connection has been closed. */
  dispose?(): Promise<void>
}

export interface StoreFacts {
  readonly store: StoreUnderTest
  readonly child: ChildStore | undefined
  /** False where `open` gave a bare store: there is no second connection to the same data. */
  readonly reconnects: boolean
}

/** What one trial has at hand. Everything opened through it is closed at its end. */
export interface StoreStage {
  readonly store: StoreUnderTest
  connect(): Promise<Store>
  passTime(ms: number): Promise<void>
  /** A process of its own, connected to the same data. */
  startChild(): Promise<StoreChild>
  /** A path in a folder that is deleted at the end. */
  file(name: string): string
  readonly clock: Clock
}

/** One promise of the store port, as something that can be tried. */
export interface StorePromise {
  /** Completes the sentence “a store …”. */
  readonly statement: string
  /** Why it cannot be asked of this adapter; undefined: it can. */
  readonly unless?: (facts: StoreFacts) => string | undefined
  readonly run: (stage: StoreStage) => Promise<void>
}

/** Asks a promise only where a second connection to the same data can be made. */
export function needsConnections(facts: StoreFacts): string | undefined {
  if (facts.reconnects) return undefined
  return 'open() gives a bare store, so no second connection to the same data can be made'
}

/** Asks a promise only where another process can come to the data. */
export function needsProcesses(facts: StoreFacts): string | undefined {
  if (facts.store.url === undefined) return 'open() gives no url, so no second process can connect'
  return facts.child ? undefined : 'the option `child` is missing, so no second process can connect'
}
