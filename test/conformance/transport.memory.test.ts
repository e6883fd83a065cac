import { describe, it } from 'vitest'
import { createMemoryTransport } from '../../src/messaging/transports/memory.ts'
import type { TransportUnderTest } from '../../src/testing/index.ts'
import { describeTransport } from '../../src/testing/index.ts'
import { effort } from './effort.ts'

await describeTransport(
  'memory',
  (): TransportUnderTest => {
    const name = `conformance-${Math.random()}`
    return {
      async connect(options) {
        const transport = createMemoryTransport({ ...options, name })
        await transport.connect()
        return transport
      },
    }
  },
  { runner: { describe, it }, effort },
)
