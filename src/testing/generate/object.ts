import type { JsonSchema } from '../../contracts/index.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { escapePointer, isJsonObject } from '../../core/json.ts'
import { flatten, Impossible } from './conjuncts.ts'
import { plainText } from './format-text.ts'
import type { MakeContext } from './making.ts'
import { memberOf } from './making.ts'
import { compilePattern, textMatching } from './pattern-text.ts'
import { numbersOf } from './scalar.ts'

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'boolean' || isJsonObject(value)
const ownSchema = (table: unknown, name: string): JsonSchema | undefined => {
  if (!isJsonObject(table) || !Object.hasOwn(table, name)) return undefined
  const value: unknown = table[name]
  return isSchema(value) ? value : undefined
}

/** The schemas of the field of this name. */
function schemasOf(schemas: readonly JsonObject[], name: string): JsonSchema[] {
  return schemas.flatMap((schema) => {
    const found: JsonSchema[] = []
    const declared = ownSchema(schema.properties, name)
    if (declared !== undefined) found.push(declared)
    for (const [pattern, each] of Object.entries(asTable(schema.patternProperties))) {
      if (isSchema(each) && compilePattern(pattern)?.test(name)) found.push(each)
    }
    const { additionalProperties: rest } = schema
    if (found.length === 0 && isSchema(rest)) found.push(rest)
    return found
  })
}

const asTable = (value: unknown): JsonObject => (isJsonObject(value) ? value : {})
const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : []

/** Names that are needed because another is there. */
function dependentNames(schemas: readonly JsonObject[], name: string): string[] {
  return schemas.flatMap((schema) => [
    ...namesIn(asTable(schema.dependentRequired)[name]),
    ...namesIn(asTable(schema.dependencies)[name]),
  ])
}

function dependentSchemas(
  schemas: readonly JsonObject[],
  names: ReadonlySet<string>,
): JsonSchema[] {
  return schemas.flatMap((schema) =>
    [...names].flatMap((name) =>
      [ownSchema(schema.dependentSchemas, name), ownSchema(schema.dependencies, name)].filter(
        (each) => each !== undefined,
      ),
    ),
  )
}

/** Required names, and those that follow from them. */
function required(schemas: readonly JsonObject[], names: Iterable<string> = []): Set<string> {
  const needed = new Set(names)
  for (const schema of schemas) for (const name of namesIn(schema.required)) needed.add(name)
  // A set that grows while it is walked is walked to its new end.
  for (const name of needed) for (const other of dependentNames(schemas, name)) needed.add(other)
  return needed
}

function isWanted(name: string, context: MakeContext): boolean {
  const { site, making, luck } = context
  if (making.optional === 'none' || site.depth >= making.depthMax) return false
  if (making.optional === 'all') return true
  return luck.chance(making.examples.has(`${site.pointer}/${name}`) ? 0.8 : 0.5)
}

const maxOf = (schemas: readonly JsonObject[]) => Math.min(...numbersOf(schemas, 'maxProperties'))
const minOf = (schemas: readonly JsonObject[]) =>
  Math.max(0, ...numbersOf(schemas, 'minProperties'))

function chooseNames(schemas: readonly JsonObject[], context: MakeContext): Set<string> {
  const names = required(schemas)
  const declared = [...new Set(schemas.flatMap((each) => Object.keys(asTable(each.properties))))]
  const free = declared.filter(
    (name) => !names.has(name) && !schemasOf(schemas, name).includes(false),
  )
  const max = maxOf(schemas)
  for (const name of free) {
    if (names.size < max && isWanted(name, context)) addWithDependents(schemas, names, name)
  }
  for (const name of context.luck.shuffle(free)) {
    if (names.size < minOf(schemas)) addWithDependents(schemas, names, name)
  }
  addUndeclared(schemas, names, context)
  const fixed = context.making.fixedAt(context.site.pointer)
  for (const [name, value] of Object.entries(isJsonObject(fixed) ? fixed : {})) {
    if (value === undefined) names.delete(name)
    else addWithDependents(schemas, names, name)
  }
  return names
}

function addWithDependents(schemas: readonly JsonObject[], names: Set<string>, name: string): void {
  for (const each of required(schemas, [...names, name])) names.add(each)
}

/** Names of a map: as many as `minProperties` asks, or one or two to show that they are possible. */
function addUndeclared(
  schemas: readonly JsonObject[],
  names: Set<string>,
  context: MakeContext,
): void {
  const { luck, making, site } = context
  const isMap = schemas.some(
    (schema) =>
      (isJsonObject(schema.additionalProperties) || isJsonObject(schema.patternProperties)) &&
      Object.keys(asTable(schema.properties)).length === 0,
  )
  const shows = isMap && making.optional !== 'none' && site.depth < making.depthMax
  const target = Math.max(minOf(schemas), shows ? names.size + luck.between(1, 2) : 0)
  for (
    let attempt = 0;
    names.size < Math.min(target, maxOf(schemas)) && attempt < 60;
    attempt += 1
  ) {
    const name = undeclaredName(schemas, context, attempt)
    if (!schemasOf(schemas, name).includes(false)) names.add(name)
  }
}

function undeclaredName(
  schemas: readonly JsonObject[],
  { luck, making, site }: MakeContext,
  attempt: number,
): string {
  const rules = schemas.map((schema) => schema.propertyNames).filter(isSchema)
  if (rules.length > 0) {
    const place = memberOf(site, `name ${attempt}`, making)
    return String(making.make([{ type: 'string' }, ...rules], place))
  }
  const patterns = schemas.flatMap((schema) => Object.keys(asTable(schema.patternProperties)))
  const pattern = luck.pick(patterns)
  if (pattern !== undefined) {
    const text = textMatching([pattern], { min: 1, max: 60 }, luck)
    if (text !== undefined) return text
  }
  return plainText(luck).replaceAll(' ', '_')
}

/** Fields that are related by the rules of Treaty's own keyword, made to agree. */
function applyRules(schemas: readonly JsonObject[], made: Record<string, Json>): void {
  for (const rule of schemas.flatMap((schema) => listOf(schema['x-treaty-rules']))) {
    if (!isJsonObject(rule)) continue
    const { sum, equals, listed } = rule
    if (Array.isArray(sum) && typeof equals === 'string' && Object.hasOwn(made, equals)) {
      const parts = sum.map((name) => made[String(name)])
      if (parts.every((part) => typeof part === 'number')) {
        made[equals] = (parts as number[]).reduce((total, part) => total + part, 0)
      }
    }
    if (typeof listed === 'string' && Object.hasOwn(made, listed)) {
      const beside = new Set([listed, ...namesIn(rule.beside)])
      made[listed] = Object.keys(made).filter((name) => !beside.has(name))
    }
  }
}
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** True for a field that the caller wants to be absent. */
function isLeftOut(name: string, { making, site }: MakeContext): boolean {
  const fixed = making.fixedAt(site.pointer)
  return isJsonObject(fixed) && Object.hasOwn(fixed, name) && fixed[name] === undefined
}

export function makeObject(given: readonly JsonObject[], context: MakeContext): Json {
  const { site, making, luck } = context
  let schemas = given
  const names = chooseNames(schemas, context)
  const more = dependentSchemas(schemas, names)
  if (more.length > 0) {
    const isDeep = site.depth >= making.depthMax
    schemas = flatten([...schemas, ...more], { ...making, luck, pointer: site.pointer, isDeep })
    for (const name of required(schemas, names)) if (!isLeftOut(name, context)) names.add(name)
  }
  const made: Record<string, Json> = {}
  for (const name of names) {
    const asked = schemasOf(schemas, name)
    const isGiven = making.fixedAt(`${site.pointer}/${escapePointer(name)}`) !== undefined
    if (asked.includes(false) && !isGiven) {
      throw new Impossible(site.pointer, `the field "${name}" is both required and forbidden`)
    }
    const value = making.make(
      asked.filter((schema) => schema !== false),
      memberOf(site, name, making),
    )
    Object.defineProperty(made, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  applyRules(schemas, made)
  return made
}
