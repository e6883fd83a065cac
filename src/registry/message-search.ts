import { namedSchema } from '../contracts/index.ts'
import type { StoredChange } from './changes.ts'
import type { Documents } from './documents.ts'
import type { Ledger } from './ledger.ts'
import type { MessageVersion, RegisteredSchema, Registry } from './model.ts'
import { inOrder, latestOf, type RegistryState, type VersionState } from './state.ts'

/** Message types across contracts, and their schemas. */
export type MessageSearch = Pick<Registry, 'messages' | 'schema' | 'schemaById'>

export function createMessageSearch(
  ledger: Ledger<RegistryState, StoredChange>,
  documents: Documents,
): MessageSearch {
  async function schemaIn(
    found: VersionState | undefined,
    type: string,
  ): Promise<RegisteredSchema | undefined> {
    const contract = found && (await documents.contract(found.hash))
    const message = contract?.events[type] ?? contract?.commands[type]
    if (!found || !message) return undefined
    const schema = namedSchema(message.schema, message.schemaId)
    return { type, contract: found.id, version: found.version, schema }
  }

  return {
    async messages({ name = '', contract, allVersions = false } = {}) {
      const state = await ledger.read()
      const wanted = name.toLowerCase()
      return versionsIn(state, contract, allVersions)
        .flatMap((version) => messagesOf(state, version))
        .filter((message) => message.name.toLowerCase().includes(wanted))
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    },
    async schema(type, version) {
      const holders = holdersOf(await ledger.read(), ({ name }) => name === type)
      const found =
        version === 'latest'
          ? latestOf(holders)
          : holders.find((holder) => holder.version === version)
      return schemaIn(found, type)
    },
    async schemaById(id) {
      const bare = id.replace(/#$/, '')
      const isIt = ({ schemaId }: { schemaId?: string }) => schemaId?.replace(/#$/, '') === bare
      const found = latestOf(holdersOf(await ledger.read(), isIt))
      return schemaIn(found, found?.facts.messages.find(isIt)?.name ?? '')
    },
  }
}

function versionsIn(
  { contracts }: RegistryState,
  id: string | undefined,
  all: boolean,
): readonly VersionState[] {
  const ids = id === undefined ? [...contracts.keys()].sort() : [id]
  return ids.flatMap((one) => {
    const versions = contracts.get(one)?.values() ?? []
    const latest = all ? undefined : latestOf(versions)
    return all ? inOrder(versions) : latest ? [latest] : []
  })
}

function messagesOf(state: RegistryState, version: VersionState): MessageVersion[] {
  const { facts, id } = version
  const registered = [...state.consumers.values()].filter(({ contract }) => contract === id)
  return facts.messages.map((message) => ({
    ...message,
    contract: id,
    version: version.version,
    producers: facts.producers,
    consumers: [
      ...new Set([
        ...(message.readers ?? []),
        ...registered
          .filter(({ views }) => Object.hasOwn(views, message.name))
          .map(({ consumer }) => consumer),
      ]),
    ],
  }))
}

function holdersOf(
  { contracts }: RegistryState,
  isIt: (message: VersionState['facts']['messages'][number]) => boolean,
): VersionState[] {
  return [...contracts.values()].flatMap((versions) =>
    [...versions.values()].filter(({ facts }) => facts.messages.some(isIt)),
  )
}
