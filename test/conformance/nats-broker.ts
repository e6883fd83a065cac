import { randomUUID } from 'node:crypto'
import { connect } from '@nats-io/transport-node'
import { createNatsTransport } from '../../src/messaging/transports/nats/index.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'

/** A broker in a namespace of its own, all of whose streams go when it is disposed of. */
export function openNatsBroker(server: string): TransportUnderTest {
  const namespace = `t${randomUUID().slice(0, 8)}`
  const url = `${server}?namespace=${namespace}`
  return {
    url,
    async connect(options) {
      const transport = createNatsTransport({ ...options, url })
      await transport.connect()
      return transport
    },
    dispose: () => removeNamespace(server, url, namespace),
  }
}

/** Takes away all channels and groups of a namespace, and its own streams. */
export async function removeNamespace(
  server: string,
  url: string,
  namespace: string,
): Promise<void> {
  const transport = createNatsTransport({ url })
  await transport.connect()
  const there = await transport.inventory?.()
  await transport.remove?.({
    subscriptions: [],
    groups: (there?.groups ?? []).map(({ name }) => name),
    channels: (there?.channels ?? []).map(({ address }) => address),
  })
  await transport.close({ drainMs: 0 })
  const connection = await connect({ servers: new URL(server).host })
  for (const stream of ['STATE', 'MEMBERS', 'DEAD']) {
    await connection.request(`$JS.API.STREAM.DELETE.${namespace.toUpperCase()}_${stream}`)
  }
  await connection.close()
}

/** How a child process comes to the server. */
export function openNatsTransport(url: string, options: ConnectOptions) {
  return createNatsTransport({ ...options, url })
}

export const natsChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openNatsTransport',
}
