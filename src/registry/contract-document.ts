import type { Consumer, Contract, ContractInput } from '../contracts/index.ts'
import { contractDigest, contractToSource, defineContract } from '../contracts/index.ts'
import { isTreatyError, TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject, toPointer } from '../core/json.ts'
import type { ContractFacts, MessageSummary } from './changes.ts'

/** A contract as the registry keeps it: in the shape of its file, whole, without status and reviews, which may change. */
export interface ContractDocument {
  readonly source: JsonObject
  /** {@link contractDigest}: the SHA-256 of the canonical JSON of `source`. */
  readonly hash: string
}

export function documentOf(contract: Contract): ContractDocument {
  const { reviews: _reviews, status: _status, ...source } = contractToSource(contract)
  return { source, hash: contractDigest(contract) }
}

/** A folder that is not there: what a document says is all that it may read. */
const nowhere = { directory: '/dev/null/registry-documents-read-no-files' }

/**
 * The contract that a document describes.
 *
 * @throws CONTRACT_INVALID with all findings: also when it names files, which only its author has
 */
export function contractFrom(source: JsonObject): Contract {
  const findings = fileNames(source)
  if (findings.length > 0) {
    throw new TreatyError('CONTRACT_INVALID', 'the contract names files, which stay with you', {
      hint: 'Push with treaty contract push, which puts schemas and examples in place.',
      findings,
    })
  }
  return defineContract(source as unknown as ContractInput, nowhere)
}

/**
 * A consumer's entry, read as a part of a contract. Undefined when it does not fit this version, of which it need not know
 * all that a later one asks.
 */
export function consumerFrom(
  contract: Contract,
  { consumer: name, entry }: { readonly consumer: string; readonly entry: JsonObject },
): Consumer | undefined {
  try {
    const source = { ...contractToSource(contract), status: 'draft' }
    return contractFrom({ ...source, consumers: { [name]: entry } }).consumers[name]
  } catch (error) {
    if (isTreatyError(error) && error.code === 'CONTRACT_INVALID') return undefined
    throw error
  }
}

/** Schemas and examples that are paths instead of content. */
function fileNames(source: JsonObject): Finding[] {
  const places: [path: string[], value: Json | undefined][] = []
  for (const kind of ['events', 'commands']) {
    for (const [name, message] of entries(source[kind])) {
      for (const part of ['schema', 'reply', 'examples']) {
        places.push([[kind, name, part], message[part]])
      }
      for (const [error, schema] of Object.entries(mapOf(message.errors))) {
        places.push([[kind, name, 'errors', error], schema])
      }
    }
  }
  for (const [name, consumer] of entries(source.consumers)) {
    for (const [event, listed] of entries(consumer.events)) {
      places.push([['consumers', name, 'events', event, 'needs'], listed.needs])
    }
  }
  return places
    .filter(([, value]) => typeof value === 'string')
    .map(([path]) => ({
      code: 'CONTRACT_TYPE_WRONG',
      severity: 'error',
      message: 'a file is named where its content must stand',
      pointer: toPointer(path),
    }))
}

function mapOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function entries(value: Json | undefined): [string, JsonObject][] {
  return Object.entries(mapOf(value)).map(([name, item]) => [name, mapOf(item)])
}

/** What lists and searches show of a contract. */
export function factsOf(contract: Contract): ContractFacts {
  const { status, purpose, owner } = contract
  return {
    status,
    purpose,
    ...(owner ? { owner } : {}),
    messages: [
      ...Object.values(contract.events).map((event) => ({
        ...messageSummary(event, 'event'),
        readers: readersOf(contract, event.name),
      })),
      ...Object.values(contract.commands).map((command) => ({
        ...messageSummary(command, 'command'),
        readers: [command.handler],
      })),
    ],
    producers: Object.keys(contract.producers),
    consumers: Object.keys(contract.consumers),
  }
}

function readersOf(contract: Contract, event: string): string[] {
  return Object.values(contract.consumers)
    .filter(({ events }) => Object.hasOwn(events, event))
    .map(({ name }) => name)
}

function messageSummary(
  message: Contract['events'][string] | Contract['commands'][string],
  kind: MessageSummary['kind'],
): MessageSummary {
  const { name, purpose, schemaId, deprecated } = message
  return {
    name,
    kind,
    purpose,
    ...(schemaId === undefined ? {} : { schemaId }),
    ...(deprecated ? { deprecated } : {}),
  }
}
