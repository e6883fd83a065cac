import type { ConnectorSchemas, JsonSchema } from '../../contracts/index.ts'
import type { CallResponse } from '../client/call.ts'
import type { Connector, OperationCall } from './connector.ts'
import type { OpenApiContract, Operation } from './openapi.ts'

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

type CallArguments<Types> = Types extends OperationTypes
  ? Nothing extends TypedCall<Types>
    ? [call?: TypedCall<Types>]
    : [call: TypedCall<Types>]
  : never
type ResponseOf<Types> = Types extends OperationTypes ? Types['response'] : never

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

/** The schemas of a connector's operations, for `generateTypes`. */
export function connectorSchemas(name: string, contract: OpenApiContract): ConnectorSchemas {
  return {
    name,
    operations: [...contract.operations.values()].map((operation) => ({
      name: operation.name,
      summary: operation.summary,
      params: paramsOf(operation),
      body: operation.body?.schema ?? (operation.body && {}),
      isBodyRequired: operation.body?.isRequired ?? false,
      response: answerOf(operation),
    })),
  }
}

function paramsOf({ parameters }: Operation): JsonSchema {
  return {
    type: 'object',
    additionalProperties: false,
    required: parameters.filter(({ isRequired }) => isRequired).map(({ name }) => name),
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema ?? {}])),
  }
}

/** What the first of the answers that mean success holds. */
function answerOf({ responses }: Operation): JsonSchema | undefined {
  const status = Object.keys(responses)
    .toSorted()
    .find((each) => each.startsWith('2') && responses[each] !== undefined)
  return status === undefined ? undefined : responses[status]
}
