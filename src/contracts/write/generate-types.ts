import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { CommandDefinition, Contract, Deprecation, JsonSchema } from '../model.ts'
import { commentText, toTypeSchema } from './type-schema.ts'

/** One schema that gets a named type. */
interface Root {
  readonly typeName: string
  readonly schema: JsonSchema
  readonly description: string
  readonly deprecated?: Deprecation
}

/** `order.placed` as `OrderPlaced`. */
export function pascalCase(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  return /^[A-Za-z]/.test(name) ? name : `T${name}`
}

/** Gives each name once; a later comer gets a number. */
function createNames(): (wanted: string) => string {
  const taken = new Set(['Contracts', 'Connectors'])
  return (wanted) => {
    let name = wanted
    for (let count = 2; taken.has(name); count += 1) name = `${wanted}${count}`
    taken.add(name)
    return name
  }
}

/** What one operation of a connector takes and gives, as schemas; undefined: nothing, or nobody knows. */
export interface OperationSchemas {
  readonly name: string
  readonly summary: string
  /** An object of all parameters. */
  readonly params: JsonSchema
  readonly body: JsonSchema | undefined
  readonly isBodyRequired: boolean
  readonly response: JsonSchema | undefined
}

/** A connector whose operations are to be typed. */
export interface ConnectorSchemas {
  readonly name: string
  readonly operations: readonly OperationSchemas[]
}

interface CommandNames {
  readonly data: string
  readonly reply?: string
  readonly errors: readonly (readonly [string, string])[]
}

/** Named types of all messages, in the order of the contracts. */
interface Plan {
  readonly roots: Root[]
  readonly events: [string, string][]
  readonly commands: [string, CommandNames][]
  readonly consumers: Map<string, Set<string>>
  /** By connector: lines of its operations. */
  readonly connectors: [string, string[]][]
}

function planCommand(
  plan: Plan,
  command: CommandDefinition,
  unique: (name: string) => string,
): void {
  const base = pascalCase(command.name)
  const add = (typeName: string, schema: JsonSchema, description: string) => {
    plan.roots.push({ typeName, schema, description })
    return typeName
  }
  const data = add(unique(base), command.schema, command.purpose)
  const reply =
    command.reply === undefined
      ? undefined
      : add(unique(`${base}Reply`), command.reply, `Reply to \`${command.name}\`.`)
  const errors = Object.entries(command.errors).map(([error, schema]): [string, string] => [
    error,
    add(
      unique(`${base}${pascalCase(error)}`),
      schema,
      `Error \`${error}\` of \`${command.name}\`.`,
    ),
  ])
  plan.commands.push([command.name, { data, ...(reply === undefined ? {} : { reply }), errors }])
}

function planTypes(contracts: readonly Contract[], unique: (name: string) => string): Plan {
  const plan: Plan = { roots: [], events: [], commands: [], consumers: new Map(), connectors: [] }
  const seen = new Set<string>()
  for (const contract of contracts) {
    for (const { name, schema, purpose, deprecated } of Object.values(contract.events)) {
      if (seen.has(name)) continue
      seen.add(name)
      const typeName = unique(pascalCase(name))
      const root = { typeName, schema, description: purpose }
      plan.roots.push(deprecated ? { ...root, deprecated } : root)
      plan.events.push([name, typeName])
    }
    for (const command of Object.values(contract.commands)) {
      if (!seen.has(command.name)) planCommand(plan, command, unique)
      seen.add(command.name)
    }
    for (const { name, events } of Object.values(contract.consumers)) {
      const names = plan.consumers.get(name) ?? new Set()
      for (const event of Object.keys(events)) names.add(event)
      plan.consumers.set(name, names)
    }
  }
  return plan
}

function planConnector(
  plan: Plan,
  { name, operations }: ConnectorSchemas,
  unique: (name: string) => string,
): void {
  const lines: string[] = []
  for (const { name: operation, summary, params, body, isBodyRequired, response } of operations) {
    const base = pascalCase(`${name} ${operation}`)
    const add = (part: string, schema: JsonSchema | undefined) => {
      if (schema === undefined) return undefined
      const typeName = unique(base + part)
      plan.roots.push({ typeName, schema, description: summary })
      return typeName
    }
    const bodyType = add('Body', body)
    const bodyText = bodyType && (isBodyRequired ? bodyType : `${bodyType} | undefined`)
    lines.push(
      `    ${quoted(operation)}: {`,
      `      params: ${add('Params', params)}`,
      `      body: ${bodyText ?? 'undefined'}`,
      `      response: ${add('Response', response) ?? 'unknown'}`,
      '    }',
    )
  }
  plan.connectors.push([name, lines])
}

function connectorsInterface({ connectors }: Plan): string {
  if (connectors.length === 0) return ''
  const lines = [
    "/** What `openConnector<Connectors['name']>()` types: parameters, bodies and answers of operations. */",
    'export interface Connectors {',
    ...connectors.flatMap(([name, own]) => [`  ${quoted(name)}: {`, ...own, '  }']),
    '}',
  ]
  return `${lines.join('\n')}\n\n`
}

function definitionsOf(schema: JsonSchema): [string, JsonSchema][] {
  if (!isJsonObject(schema)) return []
  const found = schema.$defs ?? schema.definitions
  return isJsonObject(found) ? (Object.entries(found) as [string, JsonSchema][]) : []
}

/**
 * Names of definitions whose content differs between schemas, or that lead to such a one: they cannot share a type.
 */
function conflicts(roots: readonly Root[]): Set<string> {
  const texts = new Map<string, string>()
  const known = new Map<string, JsonSchema>()
  const differing = new Set<string>()
  for (const { schema } of roots) {
    for (const [name, definition] of definitionsOf(schema)) {
      if (known.get(name) === definition) continue
      known.set(name, definition)
      const text = JSON.stringify(definition)
      const other = texts.get(name)
      // `#` names another schema in each root, so what refers to it is never the same.
      if ((other !== undefined && other !== text) || text.includes('"$ref":"#"'))
        differing.add(name)
      texts.set(name, text)
    }
  }
  for (let size = -1; size !== differing.size; ) {
    size = differing.size
    for (const [name, text] of texts) {
      const isTouched = [...text.matchAll(/"\$ref":"#\/(?:\$defs|definitions)\/([^"]+)"/g)].some(
        ([, target]) => differing.has(decodeURIComponent(target ?? '')),
      )
      if (isTouched) differing.add(name)
    }
  }
  return differing
}

/** All schemas as definitions of one, so that what they share becomes one type. */
function assemble(plan: Plan, unique: (name: string) => string): JsonObject {
  const differing = conflicts(plan.roots)
  const shared = new Map<string, string>()
  const definitions: Record<string, Json> = {}
  const pending: [string, JsonSchema, (name: string) => string][] = []
  for (const root of plan.roots) {
    const own = new Map<string, string>([['', root.typeName]])
    const rename = (name: string) => own.get(name) ?? shared.get(name) ?? name
    const fresh: [string, JsonSchema][] = []
    for (const [name, definition] of definitionsOf(root.schema)) {
      if (!differing.has(name) && shared.has(name)) continue
      const typeName = unique(
        differing.has(name) ? root.typeName + pascalCase(name) : pascalCase(name),
      )
      ;(differing.has(name) ? own : shared).set(name, typeName)
      fresh.push([typeName, definition])
    }
    definitions[root.typeName] = describe(toTypeSchema(root.schema, rename), root)
    for (const [typeName, definition] of fresh) pending.push([typeName, definition, rename])
  }
  for (const [typeName, definition, rename] of pending) {
    definitions[typeName] = toTypeSchema(definition, rename)
  }
  return { definitions }
}

function describe(schema: JsonObject, { description, deprecated }: Root): JsonObject {
  const text = commentText(description)
  // A reference alone would make the generator forget the name.
  const named = schema.$ref === undefined ? schema : { allOf: [schema] }
  return {
    ...named,
    ...(text === '' ? {} : { description: text }),
    ...(deprecated ? { deprecated: true } : {}),
  }
}

const quoted = (name: string) => JSON.stringify(name).replaceAll("'", "\\'").replace(/^"|"$/g, "'")
const union = (names: Iterable<string>) => {
  const parts = [...names].map(quoted)
  return parts.length === 0 ? 'never' : parts.join(' | ')
}

function contractsInterface(plan: Plan): string {
  const lines = [
    '/** What `openBus<Contracts>()` types: events, commands, consumers. */',
    'export interface Contracts {',
  ]
  lines.push('  events: {')
  for (const [name, typeName] of plan.events) lines.push(`    ${quoted(name)}: ${typeName}`)
  lines.push('  }', '  commands: {')
  for (const [name, { data, reply, errors }] of plan.commands) {
    const listed = errors.map(([error, typeName]) => `${quoted(error)}: ${typeName}`).join('; ')
    lines.push(
      `    ${quoted(name)}: {`,
      `      data: ${data}`,
      `      reply: ${reply ?? 'undefined'}`,
      `      errors: {${listed === '' ? '' : ` ${listed} `}}`,
      '    }',
    )
  }
  lines.push('  }', '  consumers: {')
  for (const [name, events] of plan.consumers) lines.push(`    ${quoted(name)}: ${union(events)}`)
  lines.push('  }', '}')
  return lines.join('\n')
}

/** Takes out what the generator says about itself, and the frame around the definitions. */
function tidy(text: string, frame: string): string {
  return text
    .replaceAll(/\n? \* This (?:interface|type) was referenced by [^\n]*\n \* via [^\n]*\n/g, '\n')
    .replaceAll(/\/\*\*\n(?: \*\s*\n)* \*\/\n/g, '')
    .replaceAll(/(?: \*\s*\n)+ \*\//g, ' */')
    .replace(
      new RegExp(`export (?:interface|type) ${frame}\\b[^\\n]*\\n(?:[^\\n]+\\n)*?\\}\\n`),
      '',
    )
    .trim()
}

/**
 * The text of `treaty.gen.d.ts`: one named type for each event, command, reply and error, and `Contracts`, which
 * `openBus<Contracts>()` takes. Data is typed as its producer writes it, without undeclared fields. The same
 * contracts always give the same text. With connectors also `Connectors`, for `openConnector`.
 */
export async function generateTypes(
  contracts: readonly Contract[],
  connectors: readonly ConnectorSchemas[] = [],
): Promise<string> {
  const unique = createNames()
  const plan = planTypes(contracts, unique)
  for (const connector of connectors) planConnector(plan, connector, unique)
  const schema = assemble(plan, unique)
  const frame = unique('TreatyDefinitions')
  const { compile } = await import('json-schema-to-typescript')
  const text = await compile(schema as Parameters<typeof compile>[0], frame, {
    bannerComment: '',
    additionalProperties: false,
    unreachableDefinitions: true,
    enableConstEnums: false,
    unknownAny: true,
    style: { semi: false, singleQuote: true, printWidth: 100 },
    $refOptions: { resolve: { external: false } },
  })
  const banner =
    '// Written by `treaty gen` from the contracts. Do not edit: change the contract and run it again.'
  const interfaces = `${contractsInterface(plan)}\n\n${connectorsInterface(plan)}`
  return `${banner}\n\n${interfaces}${tidy(text, frame)}\n`
}
