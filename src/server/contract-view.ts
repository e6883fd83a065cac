import { type Contract, contractDigest } from '../contracts/index.ts'
import type { ContractVersion } from '../registry/index.ts'

/** A contract in lists: enough to choose one, without schemas. */
export interface ContractSummary {
  readonly id: string
  readonly version: string
  readonly status: string
  readonly purpose: string
  readonly owner: Contract['owner'] | null
  /** Equal for equal content, whatever the file's layout. */
  readonly hash: string
  readonly events: readonly string[]
  readonly commands: readonly string[]
  readonly producers: readonly string[]
  readonly consumers: readonly string[]
  readonly href: string
}

const hashes = new WeakMap<Contract, string>()

/** {@link contractDigest}, computed once for each contract. */
export function contractHash(contract: Contract): string {
  const known = hashes.get(contract)
  if (known) return known
  const hash = contractDigest(contract)
  hashes.set(contract, hash)
  return hash
}

/** The contract as the API gives it: all that was agreed; paths of the machine that serves it stay here. */
export function contractBody(contract: Contract): Record<string, unknown> {
  const { file: _file, events, commands, ...rest } = contract
  return {
    ...rest,
    events: mapValues(events, ({ schemaFile: _schema, examples, ...event }) => ({
      ...event,
      examples: examples.map((example) => example.value),
    })),
    commands: mapValues(commands, ({ examples, ...command }) => ({
      ...command,
      examples: examples.map((example) => example.value),
    })),
  }
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  map: (value: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]))
}

/** Path of one version in the API. */
export function contractPath({ id, version }: Pick<Contract, 'id' | 'version'>): string {
  return `/api/contracts/${encodeURIComponent(id)}/versions/${encodeURIComponent(version)}`
}

export function contractSummary(contract: Contract): ContractSummary {
  return {
    id: contract.id,
    version: contract.version,
    status: contract.status,
    purpose: contract.purpose,
    owner: contract.owner ?? null,
    hash: contractHash(contract),
    events: Object.keys(contract.events),
    commands: Object.keys(contract.commands),
    producers: Object.keys(contract.producers),
    consumers: Object.keys(contract.consumers),
    href: contractPath(contract),
  }
}

/** A registered version as the same lists show it. */
export function versionSummary(version: ContractVersion): ContractSummary {
  const { messages, owner = null } = version
  const names = (kind: 'event' | 'command') =>
    messages.filter((message) => message.kind === kind).map(({ name }) => name)
  return {
    id: version.id,
    version: version.version,
    status: version.status,
    purpose: version.purpose,
    owner,
    hash: version.hash,
    events: names('event'),
    commands: names('command'),
    producers: version.producers,
    consumers: version.consumers,
    href: contractPath(version),
  }
}
