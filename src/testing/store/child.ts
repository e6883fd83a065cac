import { errorMessage } from '../../core/errors.ts'
import type { Store } from '../../store/store.ts'
import type { FromStoreChild, StoreCall, ToStoreChild } from './child-process.ts'

// The program of a child process of `describeStore`: opens a store and does what it is told.

type Method = (...args: readonly unknown[]) => Promise<unknown>
type Open = (url: string) => Store | Promise<Store>

function tell(message: FromStoreChild): void {
  process.send?.(message)
}

function methodOf(store: Store, name: string): Method {
  const [primitive = '', method = ''] = name.split('.')
  const owner = store[primitive as 'records'] as unknown as Record<string, Method>
  const found = owner[method]
  if (found === undefined) throw new Error(`a store has no method ${name}`)
  return found
}

async function perform(store: Store, work: StoreCall): Promise<unknown[]> {
  const method = methodOf(store, work.method)
  const results: unknown[] = []
  for (let round = 0; round < (work.times ?? 1); round += 1) {
    // IPC carries JSON, which has no undefined.
    const result = (await method(...work.args)) ?? null
    results.push(result)
    if (work.tells === true) tell({ told: result })
  }
  return results
}

function obey(): void {
  const opening = Promise.withResolvers<Store>()
  process.on('message', async (message: ToStoreChild) => {
    if ('open' in message) {
      const { module, exportName, url } = message.open
      const loaded = (await import(module)) as Record<string, Open>
      const open = loaded[exportName]
      if (open === undefined) throw new Error(`${module} has no export ${exportName}`)
      opening.resolve(await open(url))
      tell({ opened: true })
      return
    }
    const { call, work } = message
    try {
      tell({ call, results: await perform(await opening.promise, work) })
    } catch (error) {
      tell({ call, error: errorMessage(error) })
    }
  })
  // Without a parent there is nobody to serve; also when the parent was killed.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
}

obey()
