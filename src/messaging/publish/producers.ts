import type { Contract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'

/**
 * The producer in whose name a message goes out: the service of the bus, else the consumer whose
 * handler publishes where it is a producer too, else the only one that may send it.
 *
 * @throws SOURCE_NOT_PERMITTED when the service may not send it · SERVICE_REQUIRED when several could
 */
export function producerOf(
  contract: Contract,
  name: string,
  who: { service: string | undefined; fallback: string | undefined },
): string {
  const permitted = Object.values(contract.producers)
    .filter((producer) => producer.events === undefined || producer.events.includes(name))
    .map((producer) => producer.name)
  if (who.service !== undefined && permitted.includes(who.service)) return who.service
  if (who.fallback !== undefined && permitted.includes(who.fallback)) return who.fallback
  if (who.service !== undefined) {
    // A command may be asked by anybody; an event is its producer's word.
    if (Object.hasOwn(contract.commands, name)) return who.service
    throw new TreatyError(
      'SOURCE_NOT_PERMITTED',
      `"${who.service}" is no producer of "${name}" in contract "${contract.id}"`,
      {
        hint:
          permitted.length > 0
            ? `Publish it as ${permitted.map((each) => `"${each}"`).join(' or ')}.`
            : `Name the producers of "${name}" in the contract.`,
        details: { service: who.service, event: name, contract: contract.id },
      },
    )
  }
  const [only, ...others] = permitted
  if (only !== undefined && others.length === 0) return only
  if (only === undefined && Object.hasOwn(contract.commands, name)) return contract.id
  throw new TreatyError(
    'SERVICE_REQUIRED',
    `contract "${contract.id}" names ${permitted.length} producers of "${name}", and none was chosen`,
    {
      hint:
        permitted.length > 0
          ? `Give the service: ${permitted.join(', ')}.`
          : `Name the producers of "${name}" in the contract.`,
      details: { event: name, contract: contract.id, producers: permitted },
    },
  )
}
