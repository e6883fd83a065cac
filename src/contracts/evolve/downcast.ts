import { TreatyError } from '../../core/errors.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import { createMessageValidator } from '../message/message-validator.ts'
import type { Contract } from '../model.ts'
import { createUpcaster } from './upcast.ts'

/** Writes data so that readers of both versions of a contract find what they read. */
export interface DualWriter {
  /**
   * The new data with the fields of the old format beside it (the new ones win), checked: the contract that is published
   * allows it, and readers of the earlier version accept it.
   *
   * @throws UPCAST_MISSING · UPCAST_FAILED · SCHEMA_MISMATCH with findings
   */
  write(event: string, data: Json): Promise<Json>
}

/**
 * Dual writing during a transition: `contract` is the one that is published (the additive version), `earlier` the one whose
 * readers are still there. `evolution.upcast` needs a step that leads down, from the new format to the old:
 * `{ event, from: 2.x, to: 1.x, jsonata }`.
 */
export function createDualWriter(contract: Contract, earlier: Contract): DualWriter {
  const upcaster = createUpcaster(contract)
  const [sends, reads] = [
    createMessageValidator({ contracts: [contract], view: 'producer' }),
    createMessageValidator({ contracts: [earlier], view: 'reader' }),
  ]
  return {
    async write(event, data) {
      const versions = newFormatOf(contract, event)
      const old = await upcaster.convert(event, data, { from: versions, to: earlier.version })
      const both = isJsonObject(old) && isJsonObject(data) ? { ...old, ...data } : data
      for (const validator of [sends, reads]) {
        const findings = validator.forEvent(event)?.data.findings(both) ?? []
        if (findings.length === 0) continue
        const who =
          validator === sends ? `version ${contract.version}` : `a reader of ${earlier.version}`
        throw new TreatyError(
          'SCHEMA_MISMATCH',
          `${who} does not accept "${event}" in both formats`,
          {
            hint: 'Register a version that allows the fields of both formats first.',
            findings,
          },
        )
      }
      return both
    },
  }
}

/** The version that the new format is written against: where the step down begins, else the contract's own. */
function newFormatOf(contract: Contract, event: string): string {
  const { upcast } = contract.evolution
  const down = upcast.find((step) => step.event === event && isDown(step.from, step.to))
  return down === undefined ? contract.version : down.from
}

function isDown(from: string, to: string): boolean {
  const [high, low] = [from, to].map((text) => Number(/\d+/.exec(text)?.[0] ?? Number.NaN))
  return (high ?? 0) > (low ?? 0)
}
