import type { Load } from '../bus-load.ts'
import type { OpenEnds, ServerCpu } from './ends.ts'

/** One broker: what is measured on it, and against what. */
export interface BrokerBench {
  readonly load: Load
  readonly serverCpu: ServerCpu
  /** Part of the bare client's rate that is to be reached. */
  readonly bar: number
  readonly sides: {
    /** Absent: the transport is not there yet. */
    readonly treaty?: OpenEnds
    readonly bare: OpenEnds
    /** NestJS microservices, where it has a transport for this broker. */
    readonly nest?: OpenEnds
    /** Rows for comparison only, by name. */
    readonly others?: Readonly<Record<string, OpenEnds>>
  }
  readonly notes: readonly string[]
  close(): Promise<void>
}
