import { compileSchema, nearest } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { CallRequest, CallResponse } from '../client/call.ts'
import { createClient } from '../client/client.ts'
import type { Client, ClientOptions } from '../client/client-options.ts'
import type { PaginateOptions } from '../client/paginate.ts'
import type { ParameterValue, Query } from '../client/url.ts'
import { type OpenApiContract, type Operation, responseSchema } from './openapi.ts'
import type { CallArguments, OperationCall, ResponseOf } from './operation-call.ts'

/** What the contract of a neighbour leaves open about one operation. */
export interface OperationOptions {
  /** It does no harm twice, or, false, it does, whatever its method. */
  readonly idempotent?: boolean
  /** How it hands out long lists. */
  readonly paginate?: PaginateOptions
}

/** The client's options, and what is to be known of single operations. */
export interface OpenConnectorOptions extends ClientOptions {
  readonly operations?: Readonly<Record<string, OperationOptions>>
}

/** A neighbour system with its contract: calls by operation, request and answer validated. */
export interface Connector {
  readonly name: string
  readonly contract: OpenApiContract
  readonly client: Client
  /**
   * @throws OPERATION_UNKNOWN; HTTP_SCHEMA_MISMATCH when request or answer breaks the contract; as `client.request`
   */
  call<Body = unknown>(operation: string, call?: OperationCall): Promise<CallResponse<Body>>
  /**
   * The items of all pages of an operation whose `paginate` is set, read as they are asked for.
   *
   * @throws PAGINATION_UNKNOWN, PAGINATION_LOOP, and as `call`
   */
  paginate<Item = unknown>(operation: string, call?: OperationCall): AsyncIterable<Item>
  close(): Promise<void>
}

/** A connector whose operations are typed by `Connectors` of `treaty gen`. */
export interface TypedConnector<Operations> extends Omit<Connector, 'call' | 'paginate'> {
  /** As {@link Connector.call}. */
  call<Name extends keyof Operations & string>(
    operation: Name,
    ...call: CallArguments<Operations[Name]>
  ): Promise<CallResponse<ResponseOf<Operations[Name]>>>
  /** As {@link Connector.paginate}. */
  paginate<Item, Name extends keyof Operations & string = keyof Operations & string>(
    operation: Name,
    ...call: CallArguments<Operations[Name]>
  ): AsyncIterable<Item>
}

/**
 * Opens a connector over an OpenAPI contract. `openConnector<Connectors['shop']>(…)` has its operations typed, by what
 * `treaty gen` writes.
 *
 * @throws CONNECTOR_INVALID with every mistake of the contract as a finding; OPERATION_UNKNOWN for options of an operation that
 *   it does not have; HTTP_OPTIONS_INVALID
 */
export function openConnector<Operations = never>(
  name: string,
  contract: OpenApiContract,
  options: OpenConnectorOptions,
): [Operations] extends [never] ? Connector : TypedConnector<Operations>
export function openConnector(
  name: string,
  contract: OpenApiContract,
  { operations = {}, ...options }: OpenConnectorOptions,
): Connector {
  if (contract.findings.length > 0) {
    throw new TreatyError(
      'CONNECTOR_INVALID',
      `the contract of the connector ${name} has mistakes`,
      {
        findings: contract.findings,
      },
    )
  }
  for (const known of Object.keys(operations)) find(name, contract, known)
  const client = createClient({ name, ...options })
  const requestOf = (operationName: string, call: OperationCall): CallRequest => {
    const operation = find(name, contract, operationName)
    const { path, query, headers } = place(name, operation, call)
    const { body, idempotencyKey, timeoutMs, signal } = call
    const { idempotent } = operations[operationName] ?? {}
    return {
      method: operation.method,
      path: operation.path,
      params: path,
      query,
      headers: { ...headers, ...Object.fromEntries(new Headers(call.headers as never)) },
      body,
      responseSchema: (status) => responseSchema(operation, status),
      ...(idempotent === undefined ? {} : { idempotent }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
    }
  }
  return {
    name,
    contract,
    client,
    async call<Body>(operation: string, call: OperationCall = {}) {
      return await client.request<Body>(requestOf(operation, call))
    },
    async *paginate<Item>(operation: string, call: OperationCall = {}) {
      const request = requestOf(operation, call)
      const { paginate } = operations[operation] ?? {}
      if (paginate === undefined) throw notPaged(name, operation)
      yield* client.paginate<Item>(request, paginate)
    },
    close: () => client.close(),
  }
}

function notPaged(connector: string, operation: string): TreatyError {
  return new TreatyError(
    'PAGINATION_UNKNOWN',
    `how ${connector}.${operation} hands out its pages is not known`,
    { hint: `Set operations.${operation}.paginate of the connector.` },
  )
}

function find(connector: string, contract: OpenApiContract, name: string): Operation {
  const operation = contract.operations.get(name)
  if (operation) return operation
  const similar = nearest(name, [...contract.operations.keys()])
  throw new TreatyError(
    'OPERATION_UNKNOWN',
    `the connector ${connector} has no operation ${name}`,
    {
      hint:
        similar === undefined
          ? 'List them with treaty connector list.'
          : `Did you mean ${similar}?`,
      details: { connector, operation: name },
    },
  )
}

/** Sorts the parameters into their places and checks them and the body, all problems at once. */
function place(connector: string, operation: Operation, call: OperationCall) {
  const findings: Finding[] = []
  const path: Record<string, ParameterValue> = {}
  const query: Record<string, Query[string]> = {}
  const headers: Record<string, string> = {}
  const left = new Set(Object.keys(call.params ?? {}))
  const problem = (message: string, pointer: string) =>
    findings.push({ code: 'SCHEMA_MISMATCH', severity: 'error', message, pointer })
  for (const parameter of operation.parameters) {
    const { name } = parameter
    const pointer = `/params/${name}`
    const value = call.params?.[name]
    left.delete(name)
    if (value === undefined) {
      if (parameter.isRequired) problem(`the parameter ${name} is missing`, pointer)
      continue
    }
    if (parameter.schema !== undefined) {
      findings.push(...compileSchema(parameter.schema).findings(value, { pointerPrefix: pointer }))
    }
    if (parameter.in === 'path') path[name] = value as ParameterValue
    else if (parameter.in === 'query') query[name] = value
    else headers[name] = String(value)
  }
  for (const name of left) problem(`there is no parameter ${name}`, `/params/${name}`)
  findings.push(...bodyFindings(operation, call.body))
  if (findings.length > 0) {
    throw new TreatyError(
      'HTTP_SCHEMA_MISMATCH',
      `the call of ${connector}.${operation.name} breaks its contract`,
      { kind: 'schema', attempts: 0, findings },
    )
  }
  return { path, query, headers }
}

function bodyFindings(operation: Operation, body: unknown): Finding[] {
  const { body: expected } = operation
  if (expected === undefined || body === undefined) {
    if (body === undefined && expected?.isRequired !== true) return []
    const message = body === undefined ? 'the body is missing' : 'the operation takes no body'
    return [{ code: 'SCHEMA_MISMATCH', severity: 'error', message, pointer: '/body' }]
  }
  if (expected.schema === undefined) return []
  return compileSchema(expected.schema).findings(body, { pointerPrefix: '/body' })
}
