import { isJsonObject, type Json } from '../../core/json.ts'
import type { Store } from '../../store/index.ts'
import type { KeptSchema, ResolvedSchema, SchemaReference } from './model.ts'
import { protocolCodes, refusal } from './refusal.ts'
import { keptValue, withReferences } from './schema-text.ts'
import { entriesOf, type SubjectsState } from './state.ts'

/** Schemas under their digests. */
export interface Shelf {
  put(hash: string, kept: KeptSchema): Promise<void>
  /** @throws SUBJECT_REFUSED (40403) */
  get(hash: string): Promise<KeptSchema>
  /** The schema with all that it refers to, directly or not. @throws SUBJECT_REFUSED (42201) for a missing reference */
  resolve(
    state: SubjectsState,
    value: ResolvedSchema,
    references: readonly SchemaReference[],
  ): Promise<ResolvedSchema>
}

const collection = 'registry.schemas'
const cachedMax = 512
const referencesMax = 1000

export function openShelf(store: Store): Shelf {
  const cache = new Map<string, KeptSchema>()

  async function get(hash: string): Promise<KeptSchema> {
    const known = cache.get(hash)
    if (known) return known
    const value = (await store.records.get(collection, hash))?.value
    if (!isJsonObject(value)) throw refusal(protocolCodes.schemaNotFound, 'Schema not found.')
    const kept = value as unknown as KeptSchema
    if (cache.size >= cachedMax) cache.clear()
    cache.set(hash, kept)
    return kept
  }

  async function collect(
    state: SubjectsState,
    references: readonly SchemaReference[],
    found: Map<string, ResolvedSchema>,
  ): Promise<void> {
    for (const { name, subject, version } of references) {
      if (found.has(name)) continue
      const entries = entriesOf(state, subject, true)
      const entry = version === -1 ? entries.at(-1) : entries.find((one) => one.version === version)
      if (!entry || found.size >= referencesMax) {
        throw refusal(
          protocolCodes.invalidSchema,
          `Invalid schema: no reference found for subject ${subject}, version ${version}.`,
        )
      }
      const kept = await get(entry.hash)
      found.set(name, keptValue(kept))
      await collect(state, kept.references, found)
    }
  }

  return {
    get,
    async put(hash, kept) {
      await store.records.put(collection, hash, kept as unknown as Json, { expect: 0 })
    },
    async resolve(state, value, references) {
      const found = new Map<string, ResolvedSchema>()
      await collect(state, references, found)
      return withReferences(value, found)
    },
  }
}
