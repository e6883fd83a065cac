import type { Priority } from '../../contracts/index.ts'

/** How one message is to be sent. */
export interface PublishOptions {
  /** The contract's `key` wins; a different value here is an error. */
  readonly key?: string
  readonly priority?: Priority
  /** Milliseconds from now after which it must not be handled any more. */
  readonly ttlMs?: number
  /** Milliseconds from now before which it is not handed out. */
  readonly delayMs?: number
  /** Default: that of the message being handled, else a new one. */
  readonly correlationId?: string
  /** For a message that was sent before and is sent again: recognised as a duplicate within the dedup window. */
  readonly id?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}
/** A message that the broker has. */
export interface Published {
  readonly id: string
  /** The broker's own place of the message. */
  readonly position: string
}
