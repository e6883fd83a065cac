import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createRedisTransport } from '../../src/messaging/transports/redis/index.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'

/** Names that nobody has used, on a server that others use too; they go when it is disposed of. */
export function freshPrefix(server: string): {
  url: string
  prefix: string
  drop(): Promise<void>
} {
  const prefix = `test-${randomUUID()}:`
  const place = new URL(server)
  place.searchParams.set('prefix', prefix)
  return { url: place.href, prefix, drop: () => dropKeys(server, prefix) }
}

async function dropKeys(server: string, prefix: string): Promise<void> {
  await onRedis(server, async (client) => {
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000)
      // One by one: on a cluster they are in different slots.
      await client.pipeline(keys.map((key) => ['unlink', key])).exec()
      cursor = next
    } while (cursor !== '0')
  })
}

/** Commands on a connection of its own. */
export async function onRedis<T>(server: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** A broker under a prefix of its own, which goes when it is disposed of. */
export function openRedisBroker(server: string): TransportUnderTest {
  const place = freshPrefix(server)
  return {
    url: place.url,
    async connect(options) {
      const transport = createRedisTransport({ ...options, url: place.url })
      await transport.connect()
      return transport
    },
    dispose: place.drop,
  }
}

/** How a child process comes to the server. */
export function openRedisTransport(url: string, options: ConnectOptions) {
  return createRedisTransport({ ...options, url })
}

export const redisChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openRedisTransport',
}
