import type { Ajv, FuncKeywordDefinition } from 'ajv'
import { isJsonObject } from '../../core/json.ts'
import { ruleKeyword } from './rules.ts'

/** A finite decimal as `digits × 10^exponent`. */
interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

/** The decimal that the shortest text of a double writes: 0.1 is one tenth. */
function decimalOf(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = String(value).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

/** Exact `multipleOf`: doubles are read as the decimals that people wrote, so 0.3 is a multiple of 0.1. */
export function isMultipleOf(value: number, divisor: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0
  if (!Number.isFinite(value) || !Number.isFinite(divisor)) return false
  const a = decimalOf(value)
  const b = decimalOf(divisor)
  const exponent = Math.min(a.exponent, b.exponent)
  const scaled = (decimal: Decimal) => decimal.digits * 10n ** BigInt(decimal.exponent - exponent)
  return scaled(a) % scaled(b) === 0n
}

/** Equality of JSON values. Own properties only, so that a key such as `valueOf` is data like any other. */
export function isDeepEqual(a: unknown, b: unknown, depthLeft = 1000): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (depthLeft === 0) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, at) => isDeepEqual(item, b[at], depthLeft - 1))
  }
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every(
    (key) =>
      Object.hasOwn(b, key) && isDeepEqual(Reflect.get(a, key), Reflect.get(b, key), depthLeft - 1),
  )
}

/** Arrays up to this length are compared pair by pair: cheaper than a map. */
const pairwiseMax = 8

/** Positions of two equal items, the later one first; undefined when all differ. */
function equalPair(items: readonly unknown[]): [number, number] | undefined {
  if (items.length > pairwiseMax) return equalPairByMap(items)
  for (let at = 1; at < items.length; at += 1) {
    for (let earlier = 0; earlier < at; earlier += 1) {
      if (isDeepEqual(items[at], items[earlier])) return [at, earlier]
    }
  }
  return undefined
}

/** Scalars by a map, which tells 1 from "1" and takes 0 and -0 for one; objects and arrays among themselves. */
function equalPairByMap(items: readonly unknown[]): [number, number] | undefined {
  const scalars = new Map<unknown, number>()
  const others: number[] = []
  for (const [at, item] of items.entries()) {
    const isScalarItem = typeof item !== 'object' || item === null
    const earlier = isScalarItem
      ? scalars.get(item)
      : others.find((other) => isDeepEqual(items[other], item))
    if (earlier !== undefined) return [at, earlier]
    if (isScalarItem) scalars.set(item, at)
    else others.push(at)
  }
  return undefined
}

const uniqueItems: FuncKeywordDefinition = {
  keyword: 'uniqueItems',
  type: 'array',
  schemaType: 'boolean',
  compile: (isUnique: boolean) => {
    const check = (items: unknown[]): boolean => {
      const pair = isUnique ? equalPair(items) : undefined
      if (pair === undefined) return true
      Object.assign(check, {
        errors: [{ keyword: 'uniqueItems', params: { i: pair[0], j: pair[1] } }],
      })
      return false
    }
    return check
  },
}
const constKeyword: FuncKeywordDefinition = {
  keyword: 'const',
  compile: (wanted: unknown) => (value: unknown) => isDeepEqual(value, wanted),
}
const enumKeyword: FuncKeywordDefinition = {
  keyword: 'enum',
  schemaType: 'array',
  compile: (wanted: unknown[]) => (value: unknown) => wanted.some((one) => isDeepEqual(value, one)),
}
const multipleOf: FuncKeywordDefinition = {
  keyword: 'multipleOf',
  type: 'number',
  schemaType: 'number',
  compile: (divisor: number) => (value: number) => isMultipleOf(value, divisor),
}

/** Which keywords of a schema need more than Ajv's own code. Reading them costs a call, so only these get it. */
export interface KeywordNeeds {
  /** `const` or `enum` with objects or arrays: Ajv's equality calls what a message holds. */
  readonly equality: boolean
  /** `uniqueItems` over items that may be objects, arrays or strings. */
  readonly distinct: boolean
  /** A `multipleOf` that is no integer: Ajv divides doubles. */
  readonly decimals: boolean
}

/** Replaces what Ajv does otherwise than the specification, and adds the keyword of the cross-field rules. */
export function installKeywords(ajv: Ajv, needs: KeywordNeeds): void {
  const replace = (definition: FuncKeywordDefinition & { keyword: string }) => {
    ajv.removeKeyword(definition.keyword)
    ajv.addKeyword(definition)
  }
  if (needs.decimals) replace(multipleOf as FuncKeywordDefinition & { keyword: string })
  if (needs.distinct) replace(uniqueItems as FuncKeywordDefinition & { keyword: string })
  if (needs.equality) {
    for (const one of [constKeyword, enumKeyword]) {
      replace(one as FuncKeywordDefinition & { keyword: string })
    }
  }
  ajv.addKeyword(ruleKeyword)
}

/** What a schema needs, found by looking at every object in it; may say yes where no is enough, never the reverse. */
export function keywordNeeds(schema: unknown): KeywordNeeds {
  let equality = false
  let distinct = false
  let decimals = false
  const todo: unknown[] = [schema]
  while (todo.length > 0) {
    const node = todo.pop()
    if (Array.isArray(node)) for (const item of node) todo.push(item)
    else if (isJsonObject(node)) {
      const { enum: choices, const: constant, uniqueItems: isUnique, multipleOf: divisor } = node
      distinct ||= isUnique === true && !isScalar(node.items)
      equality ||= typeof constant === 'object' && constant !== null
      equality ||=
        Array.isArray(choices) && choices.some((one) => typeof one === 'object' && one !== null)
      decimals ||= typeof divisor === 'number'
      for (const value of Object.values(node)) todo.push(value)
    }
  }
  return { equality, distinct, decimals }
}

/** Without `string`: Ajv keeps strings as names of an object, where `__proto__` is lost. */
const scalarTypes: readonly unknown[] = ['number', 'integer', 'boolean', 'null']

/** A schema that says itself that its instances are such scalars: Ajv then compares them rightly, without a call. */
function isScalar(schema: unknown): boolean {
  if (!isJsonObject(schema)) return false
  const { type } = schema
  if (Array.isArray(type)) return type.length > 0 && type.every((one) => scalarTypes.includes(one))
  return scalarTypes.includes(type)
}
