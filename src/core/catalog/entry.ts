/** What is fixed for one code. */
export interface CatalogEntry {
  /** Exit code of the command line: 1 unforeseen, 2 wrong use, 3 problems found, 4 not found, 5 refused, 6 neighbour unavailable. */
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 6
  /** HTTP status of the API. */
  readonly status: number
  /** True when the same call may succeed later without a change. */
  readonly retryable: boolean
  /** What it means, in one or two full sentences. */
  readonly meaning: string
  /** What to do, in one or two full sentences. */
  readonly fix: string
  /** The smallest thing that triggers it: YAML, a command, or a line of code. */
  readonly example?: string
}
