import type { JsonObject } from '../core/json.ts'
import { componentSchemas } from './route-schemas.ts'

/** An OpenAPI document. @see https://spec.openapis.org/oas/v3.1.1 */
export type OpenApiDocument = JsonObject

/** A route as it was registered. */
export interface RouteRecord {
  readonly method: string
  /** With parameters as `:name`. */
  readonly url: string
  readonly access: string
  /** Whose media type and errors it speaks; absent: our own. */
  readonly protocol?: 'confluent' | undefined
  readonly summary: string
  readonly querystring?: JsonObject | undefined
  readonly params?: JsonObject | undefined
  readonly body?: JsonObject | undefined
  readonly response?: Readonly<Record<string, JsonObject>> | undefined
}

/** The description of the API, made from the schemas that the routes themselves are checked with. */
export function openApiDocument(
  routes: readonly RouteRecord[],
  version: string,
  withKeys: boolean,
): OpenApiDocument {
  const paths: Record<string, Record<string, JsonObject>> = {}
  for (const route of routes) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, withKeys) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Treaty',
      version,
      description: 'Errors are application/problem+json (RFC 9457); branch on their code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: componentSchemas,
      ...(withKeys
        ? {
            securitySchemes: {
              bearer: { type: 'http', scheme: 'bearer' },
              apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
            },
          }
        : {}),
    },
  }
}

/** Media types and form of errors, by protocol. */
const dialects = {
  own: {
    content: 'application/json',
    errors: 'application/problem+json',
    error: '#/components/schemas/Problem',
  },
  confluent: {
    content: 'application/vnd.schemaregistry.v1+json',
    errors: 'application/vnd.schemaregistry.v1+json',
    error: '#/components/schemas/Fault',
  },
} as const

function operation(route: RouteRecord, withKeys: boolean): JsonObject {
  const dialect = dialects[route.protocol ?? 'own']
  const answers: [string, JsonObject][] = Object.entries(route.response ?? {}).map(
    ([status, schema]) => [
      status,
      {
        description: status === '200' ? 'Done.' : 'See the body.',
        content: { [dialect.content]: { schema } },
      },
    ],
  )
  if (answers.length === 0) answers.push(['200', { description: 'Done.' }])
  return {
    operationId: operationId(route),
    summary: route.summary,
    parameters: [
      ...parameters(pathSchema(route), 'path'),
      ...parameters(route.querystring, 'query'),
    ],
    ...(route.body
      ? { requestBody: { required: true, content: { [dialect.content]: { schema: route.body } } } }
      : {}),
    responses: {
      ...Object.fromEntries(answers),
      default: {
        description: 'What went wrong.',
        content: {
          [dialect.errors]: { schema: { $ref: dialect.error } },
        },
      },
    },
    ...(withKeys && route.access !== 'open' ? { security: [{ bearer: [] }, { apiKey: [] }] } : {}),
  }
}

function operationId({ method, url }: RouteRecord): string {
  const words = url
    .split('/')
    .filter(Boolean)
    .map((part) => part.replace(/^:/, 'by-').replaceAll(/[^\w-]/g, '-'))
  return [method.toLowerCase(), ...(words.length === 0 ? ['home'] : words)]
    .join('-')
    .replaceAll('--', '-')
}

/** What a route does not describe of its path is text: a template without its parameters is no valid document. */
function pathSchema({ url, params }: RouteRecord): JsonObject {
  const names = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  const described = (params?.properties ?? {}) as JsonObject
  const all = names.map((name) => [name, described[name] ?? { type: 'string' }])
  return { properties: Object.fromEntries(all) as JsonObject }
}

function isRequired(schema: JsonObject | undefined, name: string): boolean {
  return Array.isArray(schema?.required) && schema.required.includes(name)
}

function parameters(schema: JsonObject | undefined, place: 'path' | 'query'): JsonObject[] {
  const properties = (schema?.properties ?? {}) as Record<string, JsonObject>
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    ...(place === 'path' || isRequired(schema, name) ? { required: true } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    schema: rest,
  }))
}
