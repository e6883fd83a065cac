import type { Contract } from '../model.ts'
import type { Report } from '../source/source.ts'

/** A contract that was read, with what checking it against the others needs. */
export interface LoadedContract {
  readonly contract: Contract
  readonly report: Report
}
