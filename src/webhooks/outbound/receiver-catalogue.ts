import type { CompiledSchema, Contract, JsonSchema } from '../../contracts/index.ts'
import { compileSchema, producerView } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'

/** An event type as receivers read about it. */
export interface CatalogueEntry {
  readonly type: string
  readonly purpose: string
  readonly contract: string
  readonly version: string
  /** Of `data` in the body. */
  readonly schema: JsonSchema
  readonly examples: readonly Json[]
  readonly deprecated?: { readonly since?: string; readonly sunset?: string; readonly use?: string }
}

/** What is sent, from the contracts: the page that receivers are given. In order of the names. */
export function webhookCatalogue(contracts: readonly Contract[]): readonly CatalogueEntry[] {
  return contracts
    .flatMap((contract) =>
      Object.values(contract.events).map((event) => ({
        type: event.name,
        purpose: event.purpose,
        contract: contract.id,
        version: contract.version,
        schema: event.schema,
        examples: event.examples.map(({ value }) => value),
        ...(event.deprecated === undefined ? {} : { deprecated: event.deprecated }),
      })),
    )
    .toSorted((left, right) => (left.type < right.type ? -1 : 1))
}

/** Refuses types that no contract has and data that its schema does not accept. */
export function createTypeCheck(
  contracts: readonly Contract[],
): (type: string, data: unknown) => void {
  const compiled = new Map<string, CompiledSchema>()
  return (type, data) => {
    const event = contracts.map(({ events }) => events[type]).find((one) => one !== undefined)
    if (event === undefined) {
      throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has the event "${type}"`, {
        details: { event: type },
      })
    }
    const schema =
      compiled.get(type) ?? compileSchema(producerView(event.schema), { unevaluated: true })
    compiled.set(type, schema)
    if (schema.check(data)) return
    throw new TreatyError('SCHEMA_MISMATCH', `the data is not what "${type}" says`, {
      hint: 'Correct the fields that the findings name.',
      findings: schema.findings(data),
    })
  }
}
