import type { Store } from '../../store/index.ts'
import type { InboundAnswer } from './delivery.ts'

const dayMs = 86_400_000
const pageSize = 500
/** Days behind the window that are looked at for answers to delete: a process may not have run for a while. */
const purgeDays = 30

/** The answers of a source in synchronous mode, so that a repetition gets the first one. By day, so that old ones go together. */
export interface KeptAnswers {
  /** Resolves once it is durable. */
  keep(key: string, answer: InboundAnswer): Promise<void>
  find(key: string): Promise<InboundAnswer | undefined>
  /** Deletes the days that are past the window. */
  purge(): Promise<void>
}

/** The first answers of one source, in the store, for as long as `keepMs`. */
export function createKeptAnswers(
  store: Store,
  source: string,
  { keepMs, now }: { readonly keepMs: number; readonly now: () => number },
): KeptAnswers {
  const { records } = store
  const days = Math.ceil(keepMs / dayMs) + 1
  const collectionAt = (daysAgo: number) =>
    `webhook.answers.${source}.${Math.floor(now() / dayMs) - daysAgo}`
  return {
    async keep(key, answer) {
      await records.put(collectionAt(0), key, answer as never)
    },
    async find(key) {
      for (let daysAgo = 0; daysAgo < days; daysAgo += 1) {
        const found = await records.get(collectionAt(daysAgo), key)
        if (found) return found.value as unknown as InboundAnswer
      }
      return undefined
    },
    async purge() {
      for (let daysAgo = days; daysAgo < days + purgeDays; daysAgo += 1) {
        for (;;) {
          const collection = collectionAt(daysAgo)
          const page = await records.list(collection, { limit: pageSize })
          await Promise.all(page.map(({ key }) => records.delete(collection, key)))
          if (page.length < pageSize) break
        }
      }
    },
  }
}
