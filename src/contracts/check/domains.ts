import { domainOf } from '../message/message-grammar.ts'
import { permittedSources } from '../message/message-validator.ts'
import type { Contract } from '../model.ts'

/** One row of the table of domains: the first word of event names, and who speaks there. */
export interface Domain {
  readonly name: string
  /** In the order of the contracts. */
  readonly events: readonly string[]
  /** Names of the services that may send at least one of them; empty where the contracts name none. */
  readonly producers: readonly string[]
  readonly contracts: readonly string[]
}

/** The domains of the contracts, in the order of their first event. */
export function domainsOf(contracts: readonly Contract[]): Domain[] {
  const rows = new Map<
    string,
    { events: Set<string>; producers: Set<string>; contracts: Set<string> }
  >()
  for (const contract of contracts) {
    for (const event of Object.keys(contract.events)) {
      const name = domainOf(event)
      const row = rows.get(name) ?? {
        events: new Set(),
        producers: new Set(),
        contracts: new Set(),
      }
      rows.set(name, row)
      row.events.add(event)
      row.contracts.add(contract.id)
      for (const producer of permittedSources(contract, event) ?? []) row.producers.add(producer)
    }
  }
  return [...rows].map(([name, row]) => ({
    name,
    events: [...row.events],
    producers: [...row.producers],
    contracts: [...row.contracts],
  }))
}
