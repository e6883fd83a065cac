import type { Contract } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Bus, DeadLetter } from '../messaging/index.ts'
import type { Registry, Subjects } from '../registry/index.ts'
import type { Store } from '../store/index.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { Histogram, Metric } from './prometheus.ts'

/** What the routes answer from. The bus may come after the port is taken, and may be exchanged on a reload. */
export interface ServerState {
  bus: Bus | undefined
  contracts: readonly Contract[]
  /** Where webhooks keep what providers sent; absent while none is attached. */
  store: Store | undefined
  /** Who agreed to what; absent while no store is attached. */
  registry: Registry | undefined
  /** The model behind the Confluent-compatible facade. */
  subjects: Subjects | undefined
  readonly clock: Clock
  /** Version of the package. */
  readonly version: string
  readonly process: ProcessMetrics
  readonly requests: Histogram
  /** Asked before the bus replays a dead letter; see `Server.addReplay`. */
  readonly replays: ((letter: DeadLetter) => Promise<true | undefined>)[]
  /** Metrics of what runs beside the API. */
  readonly metricSources: (() => Promise<readonly Metric[]>)[]
}

/** @throws NOT_READY while there is none */
export function busOf(state: ServerState): Bus {
  if (state.bus) return state.bus
  throw new TreatyError('NOT_READY', 'the bus is not open yet')
}

/** @throws NOT_READY while no store is attached */
export function registryOf(state: ServerState): Registry {
  if (state.registry) return state.registry
  throw new TreatyError('NOT_READY', 'the registry is not open yet')
}

/** @throws NOT_READY while no store is attached */
export function subjectsOf(state: ServerState): Subjects {
  if (state.subjects) return state.subjects
  throw new TreatyError('NOT_READY', 'the registry is not open yet')
}
