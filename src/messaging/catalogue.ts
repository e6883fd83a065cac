import type { CommandDefinition, Consumer, Contract, EventDefinition } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { closest } from '../core/text.ts'

/** An event with the contract and the place it belongs to. */
export interface KnownEvent {
  readonly contract: Contract
  readonly event: EventDefinition
  readonly address: string
  readonly keyPath: string | undefined
  /** Epoch milliseconds from which publishing is refused; infinite without a sunset. */
  readonly sunsetAt: number
}
export interface KnownCommand {
  readonly contract: Contract
  readonly command: CommandDefinition
  readonly address: string
  readonly keyPath: string | undefined
}
export interface KnownConsumer {
  readonly contract: Contract
  readonly consumer: Consumer
}

/** Names to definitions, over all contracts of a bus. */
export interface Catalogue {
  readonly contracts: readonly Contract[]
  /** @throws UNKNOWN_EVENT with the nearest name */
  event(name: string): KnownEvent
  findEvent(name: string): KnownEvent | undefined
  /** @throws UNKNOWN_EVENT with the nearest name */
  command(name: string): KnownCommand
  /** A consumer may stand in several contracts. @throws CONSUMER_NOT_FOUND with the nearest name */
  consumer(name: string): readonly KnownConsumer[]
}

/** @throws EVENT_AMBIGUOUS when two contracts define a message type of the same name */
export function createCatalogue(contracts: readonly Contract[]): Catalogue {
  const events = new Map<string, KnownEvent>()
  const commands = new Map<string, KnownCommand>()
  const consumers = new Map<string, KnownConsumer[]>()
  const owners = new Map<string, string>()

  for (const contract of contracts) {
    for (const name of [...Object.keys(contract.events), ...Object.keys(contract.commands)]) {
      const other = owners.get(name)
      if (other !== undefined) throw ambiguous(name, other, contract.id)
      owners.set(name, contract.id)
    }
    for (const event of Object.values(contract.events)) {
      events.set(event.name, {
        contract,
        event,
        ...placeOf(contract, event.channel),
        sunsetAt: sunsetAt(event),
      })
    }
    for (const command of Object.values(contract.commands)) {
      commands.set(command.name, { contract, command, ...placeOf(contract, command.channel) })
    }
    for (const consumer of Object.values(contract.consumers)) {
      const entries = consumers.get(consumer.name) ?? []
      entries.push({ contract, consumer })
      consumers.set(consumer.name, entries)
    }
  }

  return {
    contracts,
    findEvent: (name) => events.get(name),
    event: (name) => events.get(name) ?? fail('UNKNOWN_EVENT', 'event', name, [...events.keys()]),
    command: (name) =>
      commands.get(name) ?? fail('UNKNOWN_EVENT', 'command', name, [...commands.keys()]),
    consumer: (name) =>
      consumers.get(name) ?? fail('CONSUMER_NOT_FOUND', 'consumer', name, [...consumers.keys()]),
  }
}

function placeOf(contract: Contract, channelName: string) {
  const channel = contract.channels[channelName]
  return { address: channel?.address ?? channelName, keyPath: channel?.key }
}

function sunsetAt(event: EventDefinition): number {
  const sunset = event.deprecated?.sunset
  return sunset === undefined ? Number.POSITIVE_INFINITY : Date.parse(`${sunset}T00:00:00Z`)
}

function ambiguous(name: string, first: string, second: string): TreatyError {
  return new TreatyError(
    'EVENT_AMBIGUOUS',
    `"${name}" is defined by "${first}" and by "${second}"`,
    {
      hint: 'Load one of the two contracts, or rename the event in one of them.',
      details: { event: name, contracts: [first, second] },
    },
  )
}

function fail(
  code: 'UNKNOWN_EVENT' | 'CONSUMER_NOT_FOUND',
  what: string,
  name: string,
  known: readonly string[],
): never {
  const near = typeof name === 'string' ? closest(name, known) : undefined
  throw new TreatyError(code, `no loaded contract has the ${what} "${name}"`, {
    hint:
      near === undefined
        ? `Load the contract that defines the ${what}.`
        : `Did you mean "${near}"?`,
    details: { [what]: String(name) },
  })
}
