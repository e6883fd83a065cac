import type {
  OutgoingRecord,
  PublishResult,
  SettleResult,
  Topology,
} from '../../messaging/transport.ts'

/** What a child process needs to come to the broker. */
export interface ChildSetup {
  readonly module: string
  readonly exportName: string
  readonly url: string
  readonly leaseMs: number
  readonly topology: Topology
}

/**
 * What the handler of a child does: `hold` leaves the delivery unsettled for a later `settle`,
 * `crash` kills its own process with SIGKILL while it has the delivery.
 */
export type ChildHandler =
  | { readonly kind: 'ack'; readonly workMs?: number }
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'hold' }
  | { readonly kind: 'crash'; readonly onId?: string }

export type ChildCommand =
  | { readonly kind: 'connect'; readonly setup: ChildSetup }
  | { readonly kind: 'publish'; readonly records: readonly OutgoingRecord[] }
  /** Publishes one record after another until it is stopped or killed, telling each confirmed id. */
  | {
      readonly kind: 'stream'
      readonly prefix: string
      readonly address: string
      readonly type: string
      readonly keys: number
    }
  | { readonly kind: 'endStream' }
  | {
      readonly kind: 'consume'
      readonly group: string
      readonly credit: number
      readonly handler: ChildHandler
    }
  | { readonly kind: 'settle'; readonly messageId: string; readonly outcome: 'ack' | 'release' }
  /** Replays these dead letters one after another. */
  | { readonly kind: 'replay'; readonly ids: readonly string[] }
  | { readonly kind: 'close'; readonly drainMs: number }

export type ChildReply =
  | { readonly kind: 'published'; readonly results: readonly PublishResult[] }
  | { readonly kind: 'settled'; readonly result: SettleResult }
  | { readonly kind: 'done' }

/** What a child tells unasked. */
export type ChildEvent =
  | {
      readonly kind: 'delivered'
      readonly messageId: string
      readonly attempt: number
      readonly deliveryCount: number
      readonly key?: string
      readonly position: string
    }
  | {
      readonly kind: 'settled'
      readonly messageId: string
      readonly outcome: string
      readonly ok: boolean
      readonly reason?: string
    }
  | { readonly kind: 'published'; readonly messageId: string; readonly key?: string }
  | { readonly kind: 'replayed'; readonly id: string; readonly found: boolean }

export interface ToChild {
  readonly call: number
  readonly command: ChildCommand
}
export type FromChild =
  | { readonly call: number; readonly reply: ChildReply }
  | { readonly call: number; readonly error: string }
  | { readonly event: ChildEvent }
