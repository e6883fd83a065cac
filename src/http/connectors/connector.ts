import { compileSchema, nearest } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { CallResponse } from '../client/call.ts'
import { createClient } from '../client/client.ts'
import type { Client, ClientOptions } from '../client/client-options.ts'
import type { HeadersInput } from '../client/message-headers.ts'
import type { ParameterValue, Query } from '../client/url.ts'
import { type OpenApiContract, type Operation, responseSchema } from './openapi.ts'

/** What one operation is called with; parameters of path, query and header by name. */
export interface OperationCall {
  readonly params?: Readonly<Record<string, ParameterValue | readonly ParameterValue[] | undefined>>
  readonly body?: unknown
  readonly headers?: HeadersInput
  readonly idempotencyKey?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
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
  close(): Promise<void>
}

/**
 * Opens a connector over an OpenAPI contract.
 *
 * @throws CONNECTOR_INVALID with every mistake of the contract as a finding; HTTP_OPTIONS_INVALID
 */
export function openConnector(
  name: string,
  contract: OpenApiContract,
  options: ClientOptions,
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
  const client = createClient({ name, ...options })
  return {
    name,
    contract,
    client,
    async call<Body>(operationName: string, call: OperationCall = {}) {
      const operation = find(name, contract, operationName)
      const { path, query, headers } = place(name, operation, call)
      const { body, idempotencyKey, timeoutMs, signal } = call
      return await client.request<Body>({
        method: operation.method,
        path: operation.path,
        params: path,
        query,
        headers: { ...headers, ...Object.fromEntries(new Headers(call.headers as never)) },
        body,
        responseSchema: (status) => responseSchema(operation, status),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      })
    },
    close: () => client.close(),
  }
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
