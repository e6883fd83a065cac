import { existsSync } from 'node:fs'
import type {
  CommandDefinition,
  Contract,
  ContractTypes,
  EventDefinition,
  JsonSchema,
  PackName,
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
import type { Finding } from '../core/finding.ts'
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

/** What a fake is made from: an event, or a command. */
type Faked = EventDefinition | CommandDefinition

const contractsDefault = './contracts'

interface Searched {
  readonly contracts: readonly Contract[]
  /** Problems for which a contract may be missing here. */
  readonly errors: readonly Finding[]
}

/** Loaded once for each path: a test file asks for many fakes. */
const loadedByPath = new Map<string, Searched>()

function load(path: string): Searched {
  const known = loadedByPath.get(path)
  if (known) return known
  const { contracts, findings } = loadContractsSync(path)
  const searched = { contracts, errors: findings.filter(({ severity }) => severity === 'error') }
  loadedByPath.set(path, searched)
  return searched
}

function findIn(contracts: readonly Contract[], event: string): Faked | undefined {
  for (const { events, commands } of contracts) {
    if (Object.hasOwn(events, event)) return events[event]
    if (Object.hasOwn(commands, event)) return commands[event]
  }
  return undefined
}

/** The definition of an event, or a command's as one. */
function definitionOf(event: string, given: FakeOptions['contracts']): Faked {
  if (typeof event !== 'string') {
    throw new TreatyError('UNKNOWN_EVENT', 'fake needs the name of an event', {
      hint: "Write fake('order.placed', overrides, { contracts }).",
    })
  }
  const names: string[] = []
  const errors: Finding[] = []
  for (const search of sourcesOf(given)) {
    const searched = search()
    const found = findIn(searched.contracts, event)
    if (found) return found
    errors.push(...searched.errors)
    for (const { events, commands } of searched.contracts) {
      names.push(...Object.keys(events), ...Object.keys(commands))
    }
  }
  if (errors.length > 0) {
    throw new TreatyError(
      'CONTRACT_INVALID',
      `"${event}" was not found among the contracts, of which some have errors: ${errors[0]?.message}`,
      { hint: 'Run treaty check and mend what it lists.', findings: errors },
    )
  }
  throw new TreatyError('UNKNOWN_EVENT', `no contract has an event "${event}"`, {
    hint:
      suggest(event, names) ?? 'Pass the option contracts: a file, a folder, or loaded contracts.',
    details: { event, known: names.slice(0, 50) },
  })
}

function sourcesOf(given: FakeOptions['contracts']): readonly (() => Searched)[] {
  if (typeof given === 'string') return [() => load(given)]
  if (given !== undefined) {
    return [() => ({ contracts: isContract(given) ? [given] : given, errors: [] })]
  }
  const own = existsSync(contractsDefault) ? [() => load(contractsDefault)] : []
  return [...own, ...packNames.map((name) => () => ({ contracts: loadable(name), errors: [] }))]
}

/** Nothing of a pack whose schemas are a package of their own that is not installed here: nobody asked for it by name. */
function loadable(name: PackName): readonly Contract[] {
  try {
    return loadPack(name)
  } catch (error) {
    if (isTreatyError(error)) return []
    throw error
  }
}

const isContract = (given: readonly Contract[] | Contract): given is Contract => 'events' in given

const viewsOf = new WeakMap<object, JsonSchema>()

function strictest(definition: Faked): JsonSchema {
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
  definition: Faked,
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
      `the overrides break "${definition.name}": ${first?.message}`,
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
