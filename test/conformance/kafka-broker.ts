import { randomUUID } from 'node:crypto'
import { systemClock } from '../../src/core/clock.ts'
import { createKafkaTransport } from '../../src/messaging/transports/kafka/index.ts'
import { loadKafkaDriver } from '../../src/messaging/transports/kafka/kafka-driver.ts'
import { deleteGroups, deleteTopics } from '../../src/messaging/transports/kafka/topics.ts'
import { parseKafkaUrl } from '../../src/messaging/transports/kafka/url.ts'
import { createWire, type Wire } from '../../src/messaging/transports/kafka/wire.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'

/** A URL under which nobody has made anything yet. */
export function freshKafkaUrl(server: string, options = ''): { url: string; prefix: string } {
  const prefix = `t${randomUUID().slice(0, 8)}.`
  return { url: `${server}?prefix=${prefix}${options}`, prefix }
}

/** Works on the cluster behind a URL, beside the transport. */
export async function onKafka<T>(url: string, work: (wire: Wire) => Promise<T>): Promise<T> {
  const wire = createWire(await loadKafkaDriver(), parseKafkaUrl(url), systemClock)
  try {
    return await work(wire)
  } finally {
    await wire.close()
  }
}

/** Deletes every topic and group that has the prefix of the URL. */
export async function dropKafka(url: string): Promise<void> {
  await onKafka(url, async (wire) => {
    const { prefix } = wire.target
    const topics = (await wire.allTopics()).filter((name) => name.startsWith(prefix))
    await deleteTopics(wire, topics)
    const server = await wire.anyServer()
    const { groups } = await wire.control.call(server, wire.driver.listGroupsV4.api, [], [])
    const ids = groups.map(({ groupId }) => groupId).filter((id) => id.startsWith(prefix))
    await Promise.all(ids.map((id) => deleteGroups(wire, [id]).catch(() => undefined)))
  })
}

/** The lowest session timeout that brokers allow by default. */
const sessionMs = 6000
/**
 * What the suite counts on: a group goes on once the session of a dead member has ended, which the broker looks for now and then, and the others have
 * met again. On two busy cores that took up to 7.7 s of the 8 that it would have with the session alone.
 */
export const kafkaLeaseMs = sessionMs + 2000

/** A part of the cluster of its own, which goes when it is disposed of. */
export function openKafkaBroker(server: string, options = ''): TransportUnderTest {
  const { url } = freshKafkaUrl(server, options)
  return {
    url,
    async connect(given) {
      const transport = createKafkaTransport({ ...given, leaseMs: sessionMs, url })
      await transport.connect()
      return transport
    },
    dispose: () => dropKafka(url),
  }
}

/** How a child process comes to the cluster. */
export function openKafkaTransport(url: string, options: ConnectOptions) {
  return createKafkaTransport({ ...options, leaseMs: sessionMs, url })
}

export const kafkaChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openKafkaTransport',
}
