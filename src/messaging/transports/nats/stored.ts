/** A message as a stream keeps it. */
export interface Stored {
  readonly subject: string
  readonly seq: number
  /** Nanoseconds of the epoch, as the server wrote them. */
  readonly timeNs: bigint
  readonly data: Uint8Array
  headers(): Iterable<readonly [name: string, value: string]>
}
