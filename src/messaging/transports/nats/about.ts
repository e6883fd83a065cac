import type { Clock } from '../../../core/clock.ts'
import { type BrokerFacts, compareClocks } from '../../watch/broker-facts.ts'
import { readNatsUrl } from './url.ts'
import { openWire } from './wire.ts'

/** Version and clock of a NATS server with JetStream. @throws the BROKER_ codes */
export async function aboutNats(url: string, clock: Clock): Promise<BrokerFacts> {
  const place = readNatsUrl(url)
  const wire = await openWire(place, { clock, onError: () => undefined })
  try {
    // Only what describes a stream carries the server's time, since 2.10.
    const clocks = await compareClocks(clock, async () => {
      const list = await wire.api<{ streams?: readonly { ts?: string }[] | null }>('STREAM.LIST', {
        offset: 0,
      })
      const ts = list.streams?.[0]?.ts
      return ts === undefined ? undefined : Date.parse(ts)
    })
    return { version: `NATS ${wire.version.join('.')}`, ...clocks, unsafe: [] }
  } finally {
    await wire.close()
  }
}
