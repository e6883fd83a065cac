import type { JsonSchema } from '../../contracts/index.ts'
import { compileSchema } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import type { Random } from '../../core/random.ts'
import { seededRandom } from '../../core/random.ts'
import { makeArray } from './array.ts'
import { createResolver, flatten, Impossible } from './conjuncts.ts'
import { deriveSeed, diceOf } from './dice.ts'
import { createExamplePool, fieldOf } from './example-pool.ts'
import type { Making, PlaceMade } from './making.ts'
import { makeObject } from './object.ts'
import { chooseType, makeNumber, makeText, namedValues } from './scalar.ts'
import type { Site } from './site.ts'

export interface GenerateOptions {
  /** Values that satisfy the schema; theirs are taken where they fit, because they read like real ones. */
  readonly examples?: readonly Json[]
  /**
   * What the value must have: objects are merged into what is made, other values stand as they are, and the
   * rest is made to go with them. A field that is `undefined` here is left out.
   */
  readonly fixed?: unknown
  /** Which optional fields are there. Default `some`. */
  readonly optional?: 'none' | 'some' | 'all'
  /** Objects and arrays in each other, before only what is required is made. Default 6. */
  readonly depthMax?: number
}

/** A value for one place that satisfies all of these schemas, as far as can be seen from here. @throws Impossible */
function makeValue(schemas: readonly JsonSchema[], site: Site, making: Making): Json {
  const luck = diceOf(site.seed)
  const isDeep = site.depth >= making.depthMax
  const { pointer } = site
  const flat = flatten(schemas, { resolver: making.resolver, luck, pointer, isDeep })
  making.places.push({ pointer, schemas: flat })
  const fixed = making.fixedAt(pointer)
  if (fixed !== undefined && !isJsonObject(fixed)) return fixed as Json
  if (fixed !== undefined) return makeObject(flat, { site, making, luck })
  const named = namedValues(flat)
  if (named) {
    const value = luck.pick(named)
    if (value === undefined) throw new Impossible(pointer, 'no value is in every enum')
    return value
  }
  const known = making.examples.at(site, flat, luck)
  if (known !== undefined) return known
  const type = chooseType(flat, luck, isDeep)
  switch (type) {
    case undefined:
      throw new Impossible(pointer, 'no type is allowed by every schema')
    case 'null':
      return null
    case 'boolean':
      return luck.chance(0.5)
    case 'integer':
    case 'number':
      return makeNumber(flat, { isInteger: type === 'integer', luck, pointer })
    case 'string':
      return makeText(flat, {
        luck,
        pointer,
        field: fieldOf(pointer),
        example: making.examples.sample(pointer),
      })
    case 'array':
      return makeArray(flat, { site, making, luck })
    case 'object':
      return makeObject(flat, { site, making, luck })
  }
}

/** Attempts in which a wrong place alone is made anew, before fewer optional fields are tried. */
const attemptsMax = 120

/** How an attempt may differ from what was asked, the later the more. */
function optionalOf(attempt: number, asked: GenerateOptions['optional'] = 'some') {
  if (attempt < attemptsMax * 0.5) return asked
  if (attempt < attemptsMax * 0.8) return asked === 'all' ? 'some' : 'none'
  return (['none', 'some', 'all'] as const)[attempt % 3] ?? 'some'
}

const parentOf = (pointer: string): string =>
  pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')))

/** Throws the choices at these places away; from time to time those of the places around them too. */
function discard(changes: Map<string, number>, pointers: readonly string[]): void {
  for (const pointer of new Set(pointers)) {
    const times = (changes.get(pointer) ?? 0) + 1
    changes.set(pointer, times)
    let around = pointer
    for (let level = 3; around !== '' && times % level === 0; level *= 3) {
      around = parentOf(around)
      changes.set(around, (changes.get(around) ?? 0) + 1)
    }
  }
}

function fixedAt(fixed: unknown, pointer: string): unknown {
  let current = fixed
  for (const name of current === undefined ? [] : (parsePointer(pointer) ?? [])) {
    // An array that is fixed is fixed as a whole, so no place within it is ever asked for.
    if (!isJsonObject(current) || !Object.hasOwn(current, name)) return undefined
    current = current[name]
  }
  return current
}

/** A value with the schemas that each of its places was made from. */
export interface Generated {
  readonly value: Json
  readonly places: readonly PlaceMade[]
}

/**
 * Makes a value and remembers how. Luck belongs to places, not to the order of making: when the validator
 * objects to a place, that place alone is made anew, so even large schemas with many choices come out right.
 *
 * @throws FAKE_IMPOSSIBLE when no valid value was found
 */
export function generateWithPlaces(
  schema: JsonSchema,
  seed: number,
  options: GenerateOptions = {},
): Generated {
  const compiled = compileSchema(schema)
  const resolver = createResolver(schema)
  const examples = createExamplePool(options.examples ?? [])
  const changes = new Map<string, number>()
  let lastProblem = 'nothing was tried'
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const making: Making = {
      resolver,
      optional: optionalOf(attempt, options.optional),
      depthMax: options.depthMax ?? 6,
      examples,
      places: [],
      fixedAt: (pointer) => fixedAt(options.fixed, pointer),
      make: (schemas, place) => makeValue(schemas, place, making),
      changes: (pointer) => changes.get(pointer) ?? 0,
    }
    const site = { pointer: '', seed: deriveSeed(seed, `#${changes.get('') ?? 0}`), depth: 0 }
    try {
      const value = makeValue([schema], site, making)
      const errors = compiled.errors(value)
      if (errors.length === 0) return { value, places: making.places }
      lastProblem = `${errors[0]?.keyword} at "${errors[0]?.pointer}"`
      discard(
        changes,
        errors.map((error) => error.pointer),
      )
    } catch (error) {
      if (!(error instanceof Impossible)) throw error
      lastProblem = `${error.message} at "${error.pointer}"`
      discard(changes, [error.pointer])
    }
  }
  throw new TreatyError(
    'FAKE_IMPOSSIBLE',
    `no valid value was found for the schema in ${attemptsMax} attempts: ${lastProblem}`,
    { hint: 'Give the event an example, or simplify the schema at that place.' },
  )
}

/**
 * A value that satisfies `schema`: asserted by the validator before it is returned, and the same for the
 * same luck.
 *
 * @throws FAKE_IMPOSSIBLE when no valid value was found
 */
export function generateValue(
  schema: JsonSchema,
  random: Random = seededRandom(1),
  options: GenerateOptions = {},
): Json {
  return generateWithPlaces(schema, Math.floor(random() * 4_294_967_296), options).value
}
