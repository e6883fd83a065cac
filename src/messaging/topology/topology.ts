import type { CommandDefinition, Consumer, Contract } from '../../contracts/index.ts'
import type { ChannelTopology, GroupTopology, Topology } from '../transport.ts'

/** How long the same id is recognised as a duplicate at publish. */
export const dedupWindowMsDefault = 7 * 86_400_000
const commandDeadLetterMs = 7 * 86_400_000

/** Deliveries of one message, crashes included, after which it dies without being handed out again. */
export function deliveriesMax(attempts: number): number {
  return attempts * 3 + 5
}

/** Name of a consumer's durable group. */
export function groupName(contract: Contract, consumer: string): string {
  return `${contract.id}.${consumer}`
}

/** Name of the group that receives one command: apart from the events that its handler may consume too. */
export function commandGroupName(contract: Contract, command: CommandDefinition): string {
  return `${contract.id}.${command.handler}.${command.name}`
}

function channelTopology(contract: Contract): ChannelTopology[] {
  return Object.values(contract.channels).map((channel) => ({
    address: channel.address,
    ordering: channel.ordering,
    ...(channel.retentionMs === undefined ? {} : { retentionMs: channel.retentionMs }),
    bindings: channel.bindings,
  }))
}

/** Types that travel on an address, beside these: known, so that a consumer that does not list them skips them. */
function othersOn(
  address: string,
  types: readonly string[],
  contracts: readonly Contract[],
): string[] {
  return contracts
    .flatMap((contract) =>
      [...Object.values(contract.events), ...Object.values(contract.commands)]
        .filter(({ channel }) => (contract.channels[channel]?.address ?? channel) === address)
        .map(({ name }) => name),
    )
    .filter((name) => !types.includes(name))
}

/** The group of one consumer: what it listens to, and where its dead letters go. `contracts`: all that are loaded. */
export function consumerGroup(
  contract: Contract,
  consumer: Consumer,
  contracts: readonly Contract[] = [contract],
): GroupTopology {
  const typesByAddress = new Map<string, string[]>()
  for (const name of Object.keys(consumer.events)) {
    const event = contract.events[name]
    const channel = event && contract.channels[event.channel]
    if (!channel) continue
    const types = typesByAddress.get(channel.address)
    if (types) types.push(name)
    else typesByAddress.set(channel.address, [name])
  }
  return {
    name: groupName(contract, consumer.name),
    consumer: consumer.name,
    subscriptions: [...typesByAddress].map(([address, types]) => ({
      address,
      types,
      ignored: othersOn(address, types, contracts),
    })),
    start: consumer.start,
    deadLetter: {
      address: consumer.deadLetter.address,
      retentionMs: consumer.deadLetter.retentionMs,
      onDead: consumer.deadLetter.onDead,
      onExpired: consumer.deadLetter.onExpired,
    },
    deliveriesMax: deliveriesMax(consumer.retry.attempts),
  }
}

/** The group of one command: one handler, an expired request is dropped because nobody waits for it any more. */
export function commandGroup(
  contract: Contract,
  command: CommandDefinition,
  contracts: readonly Contract[] = [contract],
): GroupTopology {
  const address = contract.channels[command.channel]?.address ?? command.channel
  return {
    name: commandGroupName(contract, command),
    consumer: command.handler,
    subscriptions: [
      { address, types: [command.name], ignored: othersOn(address, [command.name], contracts) },
    ],
    start: 'earliest',
    deadLetter: {
      address: `${address}.${command.handler}.dlq`,
      retentionMs: commandDeadLetterMs,
      onDead: 'next',
      onExpired: 'drop',
    },
    deliveriesMax: deliveriesMax(1),
  }
}

/**
 * Everything that the contracts need on a broker: their channels, and the durable group of each
 * consumer that is not pending. A pending consumer gets its group when it first connects.
 */
export function topologyOf(contracts: readonly Contract[]): Topology {
  return {
    channels: contracts.flatMap(channelTopology),
    groups: contracts.flatMap((contract) => [
      ...Object.values(contract.consumers)
        .filter((consumer) => !consumer.pending)
        .map((consumer) => consumerGroup(contract, consumer, contracts)),
      ...Object.values(contract.commands).map((command) =>
        commandGroup(contract, command, contracts),
      ),
    ]),
  }
}
