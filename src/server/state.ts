import type { Contract } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Bus } from '../messaging/index.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { Histogram } from './prometheus.ts'

/** What the routes answer from. The bus may come after the port is taken, and may be exchanged on a reload. */
export interface ServerState {
  bus: Bus | undefined
  contracts: readonly Contract[]
  readonly clock: Clock
  /** Version of the package. */
  readonly version: string
  readonly process: ProcessMetrics
  readonly requests: Histogram
}

/** @throws NOT_READY while there is none */
export function busOf(state: ServerState): Bus {
  if (state.bus) return state.bus
  throw new TreatyError('NOT_READY', 'the bus is not open yet')
}
