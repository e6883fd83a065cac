import { describe, it } from 'vitest'
import { createMemoryTransport } from '../../src/messaging/transports/memory.ts'
import type { TransportUnderTest } from '../../src/testing/index.ts'
import { describeTransport } from '../../src/testing/index.ts'

function openMemoryBroker(): TransportUnderTest {
  const name = `conformance-${crypto.randomUUID()}`
  return {
    async connect(options) {
      const transport = createMemoryTransport({ ...options, name })
      await transport.connect()
      return transport
    },
  }
}

await describeTransport('memory', openMemoryBroker, { runner: { describe, it } })
