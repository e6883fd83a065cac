import { describe, it } from 'vitest'
import { createMemoryTransport } from '../../src/messaging/transports/memory.ts'
import { describeTransport } from '../../src/testing/index.ts'
import { effort } from './effort.ts'

await describeTransport(
  'memory',
  () => {
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
