import type { Contract } from '../contracts/index.ts'
import type { JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import type { Store } from '../store/index.ts'
import { type ContractDocument, contractFrom } from './contract-document.ts'

/** Contract documents under their digests: written once, the same for everybody. */
export interface Documents {
  put(document: ContractDocument): Promise<void>
  source(hash: string): Promise<JsonObject | undefined>
  /** The contract; the last few hundred stay in memory. */
  contract(hash: string): Promise<Contract | undefined>
}

const collection = 'registry.documents'
const cachedMax = 256

export function openDocuments(store: Store): Documents {
  const cache = new Map<string, Contract>()

  async function source(hash: string): Promise<JsonObject | undefined> {
    const value = (await store.records.get(collection, hash))?.value
    return isJsonObject(value) ? value : undefined
  }

  return {
    source,
    async put({ hash, source: value }) {
      // Whoever was first wrote the same.
      await store.records.put(collection, hash, value, { expect: 0 })
    },
    async contract(hash) {
      const known = cache.get(hash)
      if (known) {
        cache.delete(hash)
        cache.set(hash, known)
        return known
      }
      const value = await source(hash)
      if (!value) return undefined
      // Read as a draft, which is asked for less: what was registered stays readable when rules become stricter.
      const contract = contractFrom({ ...value, status: 'draft' })
      cache.set(hash, contract)
      const [oldest] = cache.keys()
      if (cache.size > cachedMax && oldest !== undefined) cache.delete(oldest)
      return contract
    },
  }
}
