import { createPostgresTransport } from '../../src/messaging/transports/postgres/index.ts'
import type { ChildTransport, ConnectOptions, TransportUnderTest } from '../../src/testing/index.ts'
import { freshSchema } from './postgres-place.ts'

/** A broker in a schema of its own, which goes when it is disposed of. */
export function openPostgresBroker(server: string): TransportUnderTest {
  const place = freshSchema(server)
  return {
    url: place.url,
    async connect(options) {
      const transport = createPostgresTransport({ ...options, url: place.url })
      await transport.connect()
      return transport
    },
    dispose: place.drop,
  }
}

/** How a child process comes to the database. */
export function openPostgresTransport(url: string, options: ConnectOptions) {
  return createPostgresTransport({ ...options, url })
}

export const postgresChild: ChildTransport = {
  module: import.meta.url,
  exportName: 'openPostgresTransport',
}
