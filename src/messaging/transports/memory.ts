import type { Capabilities, Transport, TransportOptions } from '../transport.ts'
import { createBroker } from './sqlite/broker.ts'
import { embeddedCapabilities } from './sqlite/index.ts'

export interface MemoryTransportOptions extends TransportOptions {
  /**
   * Transports of one name in one process share their messages, until the last of them closes.
   * Default: private.
   */
  readonly name?: string
  /** Largest body of one message, in bytes. Default 16 MiB. */
  readonly messageBytesMax?: number
}

function memoryCapabilities(messageBytesMax: number | undefined): Capabilities {
  return {
    ...embeddedCapabilities(messageBytesMax),
    durable: false,
    multiProcess: false,
    denials: {
      durable: 'messages live in the memory of this process and end with it',
      multiProcess: 'memory is not shared between processes; use sqlite:FILE for that',
    },
  }
}

/**
 * The embedded broker on a database in memory: the same engine as {@link createSqliteTransport}, so
 * that a test sees what production does. Nothing survives its close.
 */
export function createMemoryTransport(options: MemoryTransportOptions = {}): Transport {
  const { name, messageBytesMax, ...rest } = options
  return createBroker({
    ...rest,
    name: 'memory',
    path: name === undefined ? ':memory:' : `memory:${name}`,
    capabilities: memoryCapabilities(messageBytesMax),
  })
}
