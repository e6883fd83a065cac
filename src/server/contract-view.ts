import { createHash } from 'node:crypto'
import type { Contract } from '../contracts/index.ts'

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

/** `sha256:` and the digest of the contract with its keys in order, without the places of its files. */
export function contractHash(contract: Contract): string {
  const known = hashes.get(contract)
  if (known) return known
  const text = JSON.stringify(contractBody(contract), (_, value: unknown) => sorted(value))
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`
  hashes.set(contract, hash)
  return hash
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
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
export function contractPath(contract: Contract): string {
  return `/api/contracts/${encodeURIComponent(contract.id)}/versions/${encodeURIComponent(contract.version)}`
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
