import type { ConsumeMessage } from 'amqplib'
import type { Clock } from '../../../core/clock.ts'
import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import type { OpenShelf, Shelf } from './shelf.ts'

/** A channel as it is on the broker. */
export interface ChannelDefinition {
  readonly kind: 'channel'
  readonly address: string
  readonly ordering: ChannelTopology['ordering']
  readonly lanes: number
  readonly retentionMs: number
}
/** A lasting group as it is on the broker. */
export interface GroupDefinition extends Omit<GroupTopology, 'ephemeral'> {
  readonly kind: 'group'
  /** It was taken away; only its dead letters are left. */
  readonly isRemoved?: boolean
}
export type Definition = ChannelDefinition | GroupDefinition

/**
 * What contracts made on this broker. AMQP cannot list exchanges and queues, and a process that only knows the URL has to find the dead letters
 * of every group; so each definition is a message on a shelf, replaced by a newer one.
 */
export interface Catalogue {
  /** As last read, not older than `maxAgeMs`. */
  read(maxAgeMs?: number): Promise<Definitions>
  /** Reads, lets `change` decide what is to be there, and writes that. */
  update(change: (found: Definitions) => CatalogueChange | undefined): Promise<Definitions>
}
export interface CatalogueChange {
  readonly put?: readonly Definition[]
  readonly removed?: readonly Definition[]
}

/** Everything that is defined. */
export interface Definitions {
  readonly channels: ReadonlyMap<string, ChannelDefinition>
  readonly groups: ReadonlyMap<string, GroupDefinition>
}

const maxAgeMsDefault = 2000

export function createCatalogue(shelf: Shelf, clock: Clock): Catalogue {
  let last: { readonly at: number; readonly found: Definitions } | undefined
  let reading: Promise<Definitions> | undefined

  const keep = (found: Definitions) => {
    last = { at: clock.monotonic(), found }
    return found
  }
  return {
    async read(maxAgeMs = maxAgeMsDefault) {
      if (last !== undefined && clock.monotonic() - last.at < maxAgeMs) return last.found
      reading ??= shelf
        .use(async (open) => keep(definitionsOf(open)))
        .finally(() => {
          reading = undefined
        })
      return reading
    },
    update: (change) =>
      shelf.use(async (open) => {
        const wanted = change(definitionsOf(open))
        if (wanted !== undefined) await apply(open, wanted)
        return keep(merged(definitionsOf(open), wanted))
      }),
  }
}

function nameOf(definition: Definition): string {
  return definition.kind === 'channel'
    ? `channel ${definition.address}`
    : `group ${definition.name}`
}

/** The newest definition of each name, and the messages that it replaced. */
function* entriesOf(open: OpenShelf): Iterable<readonly [ConsumeMessage, Definition]> {
  for (const message of open.messages) {
    const definition = parsed(message)
    if (definition !== undefined) yield [message, definition]
  }
}

function parsed({ content }: ConsumeMessage): Definition | undefined {
  try {
    const value = JSON.parse(content.toString()) as Partial<Definition>
    return value.kind === 'channel' || value.kind === 'group' ? (value as Definition) : undefined
  } catch {
    // Somebody else's message: nothing of ours is lost by leaving it.
    return undefined
  }
}

function definitionsOf(open: OpenShelf): Definitions {
  return merged(
    { channels: new Map(), groups: new Map() },
    { put: [...entriesOf(open)].map(([, definition]) => definition) },
  )
}

function merged(found: Definitions, { put = [], removed = [] }: CatalogueChange = {}): Definitions {
  const channels = new Map(found.channels)
  const groups = new Map(found.groups)
  for (const each of put) {
    if (each.kind === 'channel') channels.set(each.address, each)
    else groups.set(each.name, each)
  }
  for (const each of removed) {
    if (each.kind === 'channel') channels.delete(each.address)
    else groups.delete(each.name)
  }
  return { channels, groups }
}

async function apply(open: OpenShelf, change: CatalogueChange): Promise<void> {
  const { put = [], removed = [] } = change
  const before = [...entriesOf(open)]
  const gone = new Set(removed.map(nameOf))
  const stays = put.filter((each) => !gone.has(nameOf(each)))
  await Promise.all(stays.map((each) => open.add(Buffer.from(JSON.stringify(each)))))
  const over = new Set([...put, ...removed].map(nameOf))
  for (const [message, definition] of before) if (over.has(nameOf(definition))) open.take(message)
}
