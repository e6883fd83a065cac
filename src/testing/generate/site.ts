/** One place of the value that is being made. */
export interface Site {
  readonly pointer: string
  readonly seed: number
  readonly depth: number
}
