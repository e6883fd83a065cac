import type { HeadersInput } from '../client/message-headers.ts'
import type { ParameterValue } from '../client/url.ts'

/** What one operation is called with; parameters of path, query and header by name. */
export interface OperationCall {
  readonly params?: Readonly<Record<string, ParameterValue | readonly ParameterValue[] | undefined>>
  readonly body?: unknown
  readonly headers?: HeadersInput
  readonly idempotencyKey?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What `treaty gen` writes for each operation. */
export interface OperationTypes {
  readonly params: unknown
  readonly body: unknown
  readonly response: unknown
}

type Nothing = Record<never, never>

/** A call of one operation: what it cannot do without must be given. */
export type TypedCall<Types extends OperationTypes> = Omit<OperationCall, 'params' | 'body'> &
  (Nothing extends Types['params']
    ? { readonly params?: Types['params'] }
    : { readonly params: Types['params'] }) &
  (undefined extends Types['body']
    ? { readonly body?: Types['body'] }
    : { readonly body: Types['body'] })

/** Its arguments: none where nothing is needed. */
export type CallArguments<Types> = Types extends OperationTypes
  ? Nothing extends TypedCall<Types>
    ? [call?: TypedCall<Types>]
    : [call: TypedCall<Types>]
  : never
/** The body of its answer. */
export type ResponseOf<Types> = Types extends OperationTypes ? Types['response'] : never
