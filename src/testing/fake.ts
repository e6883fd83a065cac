import { existsSync } from 'node:fs'
import type {
  Contract,
  ContractTypes,
  EventDefinition,
  JsonSchema,
  TypedContract,
} from '../contracts/index.ts'
import {
  compileSchema,
  loadContractsSync,
  loadPack,
  packNames,
  producerView,
  suggest,
} from '../contracts/index.ts'
import { isTreatyError, TreatyError } from '../core/errors.ts'
import { hasErrors } from '../core/finding.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import { seededRandom } from '../core/random.ts'
import { generateValue } from './generate/generate-value.ts'

/** Every field may be left out, at any depth; arrays are given whole. */
export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [Name in keyof T]?: DeepPartial<T[Name]> | undefined }
    : T

export interface FakeOptions {
  /** A file, a folder, or contracts. Default: `./contracts` where it is there, and the packs. */
  readonly contracts?: string | readonly Contract[] | Contract
  /** The same seed gives the same data. Default 1. */
  readonly seed?: number
  /** Which optional fields are there. Default `some`. */
  readonly optional?: 'none' | 'some' | 'all'
}

const contractsDefault = './contracts'

function contractsIn(path: string): readonly Contract[] {
  const { contracts, findings } = loadContractsSync(path)
  if (hasErrors(findings)) {
    throw new TreatyError('CONTRACT_INVALID', `the contracts in "${path}" have errors`, {
      hint: 'Run treaty check and mend what it lists.',
      findings,
    })
  }
  return contracts
}

/** Loaded once for each path: a test file asks for many fakes. */
const loadedByPath = new Map<string, readonly Contract[]>()

function load(path: string): readonly Contract[] {
  const known = loadedByPath.get(path) ?? contractsIn(path)
  loadedByPath.set(path, known)
  return known
}

function findIn(contracts: readonly Contract[], event: string): EventDefinition | undefined {
  return contracts.find((contract) => Object.hasOwn(contract.events, event))?.events[event]
}

/** The definition of an event, or a command's as one. */
function definitionOf(event: string, given: FakeOptions['contracts']): EventDefinition {
  const searched: Contract[] = []
  for (const contracts of sourcesOf(given)) {
    const list = contracts()
    const found = findIn(list, event)
    if (found) return found
    const command = list.find((each) => Object.hasOwn(each.commands, event))?.commands[event]
    if (command) return command
    searched.push(...list)
  }
  const hint = suggest(
    event,
    searched.flatMap((each) => [...Object.keys(each.events), ...Object.keys(each.commands)]),
  )
  throw new TreatyError('UNKNOWN_EVENT', `no contract has an event "${event}"`, {
    hint: hint ?? 'Pass the option contracts: a file, a folder, or loaded contracts.',
    details: { event, contracts: searched.map((each) => each.id) },
  })
}

function sourcesOf(given: FakeOptions['contracts']): readonly (() => readonly Contract[])[] {
  if (typeof given === 'string') return [() => load(given)]
  if (given !== undefined) return [() => (isContract(given) ? [given] : given)]
  const own = existsSync(contractsDefault) ? [() => load(contractsDefault)] : []
  return [...own, ...packNames.map((name) => () => loadPack(name))]
}

const isContract = (given: readonly Contract[] | Contract): given is Contract => 'events' in given

const viewsOf = new WeakMap<object, JsonSchema>()

function strictest(definition: EventDefinition): JsonSchema {
  const { schema } = definition
  if (typeof schema === 'boolean') return schema
  const known = viewsOf.get(schema) ?? producerView(schema)
  viewsOf.set(schema, known)
  return known
}

/** What is fixed laid over what was made, to show what is wrong with it. */
function merge(made: Json, fixed: unknown): unknown {
  if (!isJsonObject(fixed)) return fixed
  const merged: Record<string, unknown> = isJsonObject(made) ? { ...made } : {}
  for (const [name, value] of Object.entries(fixed)) {
    if (value === undefined) delete merged[name]
    else merged[name] = merge((isJsonObject(made) ? made[name] : undefined) ?? null, value)
  }
  return merged
}

/** Data for an event of a known contract. @throws see {@link fake} */
export function fakeData(
  definition: EventDefinition,
  overrides: unknown,
  options: Omit<FakeOptions, 'contracts'> = {},
): Json {
  const { seed = 1, optional = 'some' } = options
  const schema = strictest(definition)
  const examples = definition.examples.map((example) => example.value)
  const random = () => seededRandom(seed)
  if (overrides === undefined) return generateValue(schema, random(), { examples, optional })
  try {
    return generateValue(schema, random(), { examples, optional, fixed: overrides })
  } catch (error) {
    if (!isTreatyError(error) || error.code !== 'FAKE_IMPOSSIBLE') throw error
    const plain = generateValue(schema, random(), { examples, optional })
    const findings = compileSchema(schema).findings(merge(plain, overrides))
    if (findings.length === 0) throw error
    const first = findings[0]
    throw new TreatyError(
      'SCHEMA_MISMATCH',
      `the overrides break "${definition.name}": ${first?.pointer === '' ? '' : `${first?.pointer} `}${first?.message}`,
      { hint: 'Correct the overrides at the pointers of the findings.', findings, cause: error },
    )
  }
}

/**
 * Data of an event that is valid by construction: made from the schema as producers must meet it, with words
 * and figures from the event's examples, then checked. The same seed gives the same data. `overrides` are merged
 * deeply, and what is not overridden is made to go with them (another branch of a `oneOf`, a field that a given
 * one needs); a field that is `undefined` is left out.
 *
 * @throws UNKNOWN_EVENT · SCHEMA_MISMATCH with findings where the overrides break the schema · FAKE_IMPOSSIBLE · CONTRACT_INVALID
 */
export function fake<C extends ContractTypes, Event extends keyof C['events'] & string>(
  event: Event,
  overrides: DeepPartial<C['events'][Event]> | undefined,
  options: FakeOptions & { readonly contracts: TypedContract<C> | readonly TypedContract<C>[] },
): C['events'][Event]
export function fake<Data = JsonObject>(
  event: string,
  overrides?: DeepPartial<Data>,
  options?: FakeOptions,
): Data
export function fake(event: string, overrides?: unknown, options: FakeOptions = {}): unknown {
  const { contracts, ...rest } = options
  return fakeData(definitionOf(event, contracts), overrides, rest)
}
