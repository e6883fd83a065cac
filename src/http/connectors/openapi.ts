import type { JsonSchema } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import {
  isJsonObject,
  type Json,
  type JsonObject,
  parsePointer,
  toPointer,
} from '../../core/json.ts'

/** A parameter of an operation that does not travel in the body. */
export interface OperationParameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly isRequired: boolean
  readonly schema: JsonSchema | undefined
}

/** One thing that a neighbour can be asked, as its OpenAPI document says. */
export interface Operation {
  /** `operationId`, else method and path. */
  readonly name: string
  readonly method: string
  /** With `{name}` for path parameters. */
  readonly path: string
  readonly summary: string
  readonly parameters: readonly OperationParameter[]
  readonly body:
    | { readonly isRequired: boolean; readonly schema: JsonSchema | undefined }
    | undefined
  /** By status: `200`, `2XX`, `default`. */
  readonly responses: Readonly<Record<string, JsonSchema | undefined>>
}

/** What an OpenAPI document says about a neighbour. */
export interface OpenApiContract {
  readonly title: string
  readonly version: string
  /** The first server, where the document names one. */
  readonly server: string | undefined
  readonly operations: ReadonlyMap<string, Operation>
  readonly findings: readonly Finding[]
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']
const refDepthMax = 32

/** What is needed while a document is read. */
class Reader {
  readonly findings: Finding[] = []
  readonly #document: JsonObject
  readonly #file: string | undefined

  constructor(document: JsonObject, file: string | undefined) {
    this.#document = document
    this.#file = file
  }

  add(message: string, at: readonly (string | number)[], hint: string): void {
    this.findings.push({
      code: 'CONNECTOR_INVALID',
      severity: 'error',
      message,
      hint,
      pointer: toPointer(at),
      ...(this.#file === undefined ? {} : { file: this.#file }),
    })
  }

  /** The value at a local reference; undefined where it leads nowhere. */
  at(reference: string): Json | undefined {
    if (!reference.startsWith('#')) return undefined
    let current: Json | undefined = this.#document
    for (const token of parsePointer(decodeURIComponent(reference.slice(1))) ?? ['\u0000']) {
      if (typeof current !== 'object' || current === null || !Object.hasOwn(current, token)) {
        return undefined
      }
      current = (current as JsonObject)[token]
    }
    return current
  }

  /** An object, behind its reference if it is one. */
  resolve(value: Json | undefined, at: readonly (string | number)[]): JsonObject {
    let current = value
    for (let depth = 0; depth < refDepthMax && isJsonObject(current); depth += 1) {
      const reference: Json | undefined = current.$ref
      if (typeof reference !== 'string') return current
      current = this.at(reference)
      if (current === undefined) {
        this.add(
          `the reference ${reference} leads nowhere`,
          at,
          'Point it at a part of this document.',
        )
      }
    }
    return {}
  }

  /** A schema that stands alone: what it refers to is under `$defs`. */
  schema(value: Json | undefined, at: readonly (string | number)[]): JsonSchema | undefined {
    if (!isJsonObject(value) && typeof value !== 'boolean') return undefined
    const definitions: Record<string, Json> = {}
    const copy = this.#copy(value, { definitions, at })
    if (!isJsonObject(copy) || Object.keys(definitions).length === 0) return copy as JsonSchema
    return { ...copy, $defs: definitions } as JsonSchema
  }

  #copy(
    value: Json,
    place: {
      readonly definitions: Record<string, Json>
      readonly at: readonly (string | number)[]
    },
  ): Json {
    if (Array.isArray(value)) return value.map((each) => this.#copy(each as Json, place))
    if (!isJsonObject(value)) return value
    const { $ref: reference } = value
    const copied: Record<string, Json> = {}
    for (const [name, inner] of Object.entries(value)) {
      if (inner !== undefined && name !== '$ref') copied[name] = this.#copy(inner, place)
    }
    exclusiveAsNumbers(copied)
    nullableAsType(copied)
    if (typeof reference !== 'string') return copied
    return { ...copied, $ref: `#/$defs/${this.#define(reference, place)}` }
  }

  #define(
    reference: string,
    place: {
      readonly definitions: Record<string, Json>
      readonly at: readonly (string | number)[]
    },
  ): string {
    const name = reference.replaceAll(/[^A-Za-z0-9]+/g, '_')
    if (Object.hasOwn(place.definitions, name)) return name
    const target = this.at(reference)
    if (target === undefined) {
      this.add(
        `the reference ${reference} leads nowhere`,
        place.at,
        'Point it at a part of this document.',
      )
    }
    // Set before it is filled, because schemas may refer to themselves.
    place.definitions[name] = {}
    place.definitions[name] = this.#copy(target ?? {}, place)
    return name
  }
}

/** OpenAPI 3.0 has `exclusiveMinimum: true` beside `minimum`, as draft 4 did. */
function exclusiveAsNumbers(schema: Record<string, Json>): void {
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof schema[exclusive] !== 'boolean') continue
    const value = schema[bound]
    if (schema[exclusive] && typeof value === 'number') {
      schema[exclusive] = value
      delete schema[bound]
    } else delete schema[exclusive]
  }
}

/** OpenAPI 3.0 has `nullable: true`, which JSON Schema does not know. */
function nullableAsType(schema: Record<string, Json>): void {
  if (typeof schema.nullable !== 'boolean') return
  if (schema.nullable && typeof schema.type === 'string') {
    schema.type = [schema.type, 'null']
    if (Array.isArray(schema.enum) && !schema.enum.includes(null))
      schema.enum = [...schema.enum, null]
  }
  delete schema.nullable
}

function jsonContent(content: Json | undefined): JsonObject | undefined {
  if (!isJsonObject(content)) return undefined
  const type = Object.keys(content).find((name) =>
    /^application\/(.+\+)?json\b|^\*\/\*$/i.test(name),
  )
  const media = type === undefined ? undefined : content[type]
  return isJsonObject(media) ? media : undefined
}

function parametersOf(
  reader: Reader,
  lists: readonly (Json | undefined)[],
  at: readonly (string | number)[],
): OperationParameter[] {
  const found = new Map<string, OperationParameter>()
  for (const list of lists) {
    for (const each of Array.isArray(list) ? list : []) {
      const { name, in: place, required, schema } = reader.resolve(each as Json, at)
      if (typeof name !== 'string' || !['path', 'query', 'header'].includes(String(place))) continue
      found.set(`${String(place)} ${name}`, {
        name,
        in: place as OperationParameter['in'],
        isRequired: required === true || place === 'path',
        schema: reader.schema(schema, at),
      })
    }
  }
  return [...found.values()]
}

function operationOf(
  reader: Reader,
  entry: {
    readonly path: string
    readonly method: string
    readonly item: JsonObject
    readonly value: JsonObject
  },
): Operation {
  const { path, method, item, value } = entry
  const at = ['paths', path, method]
  const body = value.requestBody === undefined ? undefined : reader.resolve(value.requestBody, at)
  const responses = isJsonObject(value.responses) ? value.responses : {}
  return {
    name:
      typeof value.operationId === 'string' ? value.operationId : `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    summary: typeof value.summary === 'string' ? value.summary : '',
    parameters: parametersOf(reader, [item.parameters, value.parameters], at),
    body: body && {
      isRequired: body.required === true,
      schema: reader.schema(jsonContent(body.content)?.schema, at),
    },
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [
        status.toUpperCase() === 'DEFAULT' ? 'default' : status.toUpperCase(),
        reader.schema(jsonContent(reader.resolve(response, at).content)?.schema, at),
      ]),
    ),
  }
}

/**
 * Reads an OpenAPI document (3.0 or 3.1) as the contract of a connector. Problems are findings; what can be read is there.
 *
 * @see https://spec.openapis.org/oas/
 */
export function readOpenApi(document: unknown, file?: string): OpenApiContract {
  const root = isJsonObject(document) ? document : {}
  const reader = new Reader(root, file)
  const isKnown = typeof root.openapi === 'string' && /^3\.[01]\./.test(root.openapi)
  if (!isKnown) {
    reader.add(
      'this is no OpenAPI document of version 3.0 or 3.1',
      ['openapi'],
      'Convert it to 3.1.',
    )
  }
  const operations = new Map<string, Operation>()
  for (const [path, given] of Object.entries(isJsonObject(root.paths) ? root.paths : {})) {
    const item = reader.resolve(given, ['paths', path])
    for (const method of methods) {
      const value = item[method]
      if (!isJsonObject(value)) continue
      const operation = operationOf(reader, { path, method, item, value })
      if (operations.has(operation.name)) {
        const at = ['paths', path, method, 'operationId']
        reader.add(`two operations are named ${operation.name}`, at, 'Give each a name of its own.')
      }
      operations.set(operation.name, operation)
    }
  }
  const info = isJsonObject(root.info) ? root.info : {}
  const first = Array.isArray(root.servers) ? root.servers[0] : undefined
  const server = isJsonObject(first) && typeof first.url === 'string' ? first.url : undefined
  return {
    title: typeof info.title === 'string' ? info.title : '',
    version: typeof info.version === 'string' ? info.version : '',
    server,
    operations,
    findings: reader.findings,
  }
}

/** The schema for a status: the exact one, its class, or the default. */
export function responseSchema(operation: Operation, status: number): JsonSchema | undefined {
  const { responses } = operation
  for (const key of [String(status), `${Math.floor(status / 100)}XX`, 'default']) {
    if (Object.hasOwn(responses, key)) return responses[key]
  }
  return undefined
}
