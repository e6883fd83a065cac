import type { ConnectorSchemas, JsonSchema } from '../../contracts/index.ts'
import type { OpenApiContract, Operation } from './openapi.ts'

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
