import type { Contract } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { isTreatyError } from '../../core/errors.ts'
import { storeUrlFor } from '../../messaging/index.ts'
import type { Registry } from '../../registry/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import type { StartPlan } from './plan.ts'

/** The store that the server's registry lives in. */
export interface ServedRegistry {
  readonly store: Store
  close(): Promise<void>
}

/** Beside the embedded broker, where nothing else is said. @throws the STORE_ codes */
export async function openServedRegistry(plan: StartPlan, clock: Clock): Promise<ServedRegistry> {
  const store = await openStore(plan.store ?? storeUrlFor(plan.transport), { clock })
  return { store, close: () => store.close() }
}

/** Registers what is loaded; gives what could not be, one sentence each. */
export async function registerAll(
  registry: Registry,
  contracts: readonly Contract[],
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const contract of contracts) {
    try {
      await registry.register(contract, 'start')
    } catch (error) {
      if (!isTreatyError(error)) throw error
      problems.push(`${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`)
    }
  }
  return problems
}
