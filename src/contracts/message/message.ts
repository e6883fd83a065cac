import type { Json, JsonObject } from '../../core/json.ts'

export type Priority = 'low' | 'normal' | 'high' | 'critical'

/** What travels beside the data. Free-form; these names have a meaning. */
export interface Metadata extends JsonObject {
  /** Version of the contract that the data was written against; absent means `1.0`. */
  readonly schema_version?: string
  /** Id of the message whose handling caused this one. */
  readonly causation_id?: string
  readonly priority?: Priority
  /** Positive integer, counted from the message's timestamp. */
  readonly ttl_seconds?: number
  /** Partition key. */
  readonly key?: string
  /** @see W3C Trace Context */
  readonly traceparent?: string
  readonly tracestate?: string
  /** Address at which the sender of a command awaits the reply. */
  readonly reply_to?: string
}

/**
 * One instance of an event or command, in the canonical form: seed 004's envelope, which is also
 * the wire form `treaty`. Timestamps stay text, because a JavaScript date keeps milliseconds only.
 */
export interface Message<Data = Json> {
  readonly id: string
  readonly type: string
  /** Name of the service that produced it. */
  readonly source: string
  /** RFC 3339 date-time with offset, 0 to 9 fraction digits. */
  readonly timestamp: string
  readonly correlation_id: string
  readonly data: Data
  readonly metadata?: Metadata
}

/** A message as bytes, with what the bytes do not say. */
export interface Wire {
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
}
