import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Dice } from './dice.ts'
import { identifyingFormats, isIdentityName } from './format-text.ts'
import { allowedTypes, typeOf } from './scalar.ts'
import type { Site } from './site.ts'

/** Values that stand in examples, by place; an element of an array counts for every element. */
export interface ExamplePool {
  /** A value of an example for this place; undefined: make one. */
  at(site: Site, schemas: readonly JsonObject[], luck: Dice): Json | undefined
  /** Some value of an example for this place; undefined: no example has one. */
  sample(pointer: string): Json | undefined
  /** True when at least one example has something there. */
  has(pointer: string): boolean
}

const placeOf = (pointer: string): string => pointer.replace(/\/\d+(?=\/|$)/g, '/*')

/** Name of the field at a pointer; of an element, the name of its array. */
export function fieldOf(pointer: string): string {
  const names = pointer.split('/').filter((name) => !/^\d+$/.test(name))
  return names.at(-1) ?? ''
}

/** How often a place takes its value from an example; the rest shows the handler something new. */
const fidelity = 0.75

export function createExamplePool(examples: readonly Json[]): ExamplePool {
  const scalars = new Map<string, Json[]>()
  const places = new Set<string>()
  const collect = (value: Json | undefined, place: string): void => {
    if (value === undefined) return
    places.add(place)
    if (Array.isArray(value)) {
      for (const item of value) collect(item, `${place}/*`)
      return
    }
    if (isJsonObject(value)) {
      for (const [name, item] of Object.entries(value)) {
        collect(item, `${place}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
      }
      return
    }
    scalars.set(place, [...(scalars.get(place) ?? []), value])
  }
  for (const example of examples) collect(example, '')

  return {
    sample: (pointer) => scalars.get(placeOf(pointer))?.[0],
    has: (pointer) => places.has(placeOf(pointer)),
    at(site, schemas, luck) {
      const named = schemas.flatMap((schema) =>
        Array.isArray(schema.examples) ? schema.examples : [],
      )
      const values = [...(scalars.get(placeOf(site.pointer)) ?? []), ...named]
      const isIdentity =
        schemas.some(({ format }) => identifyingFormats.has(String(format))) ||
        (isIdentityName(fieldOf(site.pointer)) && typeof values[0] === 'string')
      if (isIdentity || values.length === 0 || !luck.chance(fidelity)) return undefined
      const types = allowedTypes(schemas)
      return luck.pick(values.filter((value) => types.includes(typeOf(value as Json)))) as Json
    },
  }
}
