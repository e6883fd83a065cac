import { randomUUID } from 'node:crypto'
import { type Channel, connect } from 'amqplib'
import { createRabbitmqTransport } from '../../src/messaging/transports/rabbitmq/index.ts'
import { namesUnder } from '../../src/messaging/transports/rabbitmq/names.ts'
import { tiersMs } from '../../src/messaging/transports/rabbitmq/tiers.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'

/** Names that nobody has used, on a broker that others use too; they go when it is disposed of. */
export function freshPrefix(
  server: string,
  queues: 'quorum' | 'classic' = 'quorum',
): { url: string; prefix: string; drop(): Promise<void> } {
  const prefix = `test-${randomUUID().slice(0, 8)}-`
  const place = new URL(server)
  place.searchParams.set('prefix', prefix)
  place.searchParams.set('queues', queues)
  return { url: place.href, prefix, drop: () => dropAll(server, place.href, prefix) }
}

async function dropAll(server: string, url: string, prefix: string): Promise<void> {
  const transport = createRabbitmqTransport({ url })
  await transport.connect()
  const { groups, channels } = (await transport.inventory?.()) ?? { groups: [], channels: [] }
  const addresses = channels.map(({ address }) => address)
  const surplus = { subscriptions: [], groups: groups.map(({ name }) => name), channels: addresses }
  await transport.remove?.(surplus)
  await transport.close({ drainMs: 0 })
  const names = namesUnder(prefix)
  await onRabbitmq(server, async (channel) => {
    const queues = [names.catalogue, names.refused, names.refusals]
    queues.push(...tiersMs.map(names.wait), ...groups.map(({ name }) => names.dead(name)))
    for (const queue of queues) await channel.deleteQueue(queue)
    await channel.deleteExchange(names.members)
  })
}

/** Work on a channel of its own. */
export async function onRabbitmq<T>(
  server: string,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const connection = await connect(server)
  try {
    return await work(await connection.createChannel())
  } finally {
    await connection.close()
  }
}

/** A broker under a prefix of its own, which goes when it is disposed of. */
export function openRabbitmqBroker(
  server: string,
  queues: 'quorum' | 'classic' = 'quorum',
): TransportUnderTest {
  const place = freshPrefix(server, queues)
  return {
    url: place.url,
    async connect(options) {
      const transport = createRabbitmqTransport({ ...options, url: place.url })
      await transport.connect()
      return transport
    },
    dispose: place.drop,
  }
}

/** How a child process comes to the broker. */
export function openRabbitmqTransport(url: string, options: ConnectOptions) {
  return createRabbitmqTransport({ ...options, url })
}

export const rabbitmqChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openRabbitmqTransport',
}
