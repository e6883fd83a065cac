import type { Finding } from '../../core/finding.ts'
import type { Contract } from '../model.ts'
import { createLocator } from './compare-locate.ts'
import { consumerImpact } from './impact.ts'

/**
 * Proves, without any earlier version, that what producers of the contract may send satisfies the schemas that its consumers
 * gave as their needs. Bare paths need no proof: they mean what the contract's own schema says.
 */
export function checkNeeds(contract: Contract): Finding[] {
  const locator = createLocator(contract)
  return Object.values(contract.consumers).flatMap((consumer) => {
    const hasSchema = Object.values(consumer.events).some((each) => each.needsSchema !== undefined)
    if (!hasSchema) return []
    const { events } = consumerImpact(consumer, contract, { earlier: [] })
    return events.flatMap(({ event, verdict, reason, description, witness }): Finding[] => {
      if (verdict === 'compatible') return []
      const place = locator.inContract(['consumers', consumer.name, 'events', event, 'needs'])
      const { file, line, column, frame, pointer } = place ?? {}
      const path = description === undefined ? '' : ` at ${description.path}`
      return [
        {
          code: verdict === 'breaking' ? 'NEEDS_NOT_MET' : 'VERDICT_UNKNOWN',
          severity: consumer.pending ? 'info' : 'error',
          message: `\`${consumer.name}\` needs more than \`${event}\` promises${path}: ${reason ?? verdict}`,
          hint: 'Let the schema of the event promise it, or ask for less in `needs`.',
          event,
          consumer: consumer.name,
          ...(file === undefined ? {} : { file }),
          ...(line === undefined ? {} : { line }),
          ...(column === undefined ? {} : { column }),
          ...(frame === undefined ? {} : { frame }),
          ...(pointer === undefined ? {} : { pointer }),
          ...(witness === undefined ? {} : { witness }),
        },
      ]
    })
  })
}
