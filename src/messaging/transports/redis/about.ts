import type { Clock } from '../../../core/clock.ts'
import { systemRandom } from '../../../core/random.ts'
import { type BrokerFacts, compareClocks } from '../../watch/broker-facts.ts'
import { loadRedisDriver } from './driver.ts'
import { createLink } from './link.ts'
import { checkServer } from './server-check.ts'
import { readRedisUrl } from './url.ts'

const silenceMs = 10_000

/** Version, clock and durability of a Redis or Valkey server. @throws the BROKER_ codes */
export async function aboutRedis(url: string, clock: Clock): Promise<BrokerFacts> {
  const place = readRedisUrl(url)
  let facts: BrokerFacts | undefined
  const link = createLink({
    driver: await loadRedisDriver(),
    place,
    clock,
    random: systemRandom,
    silenceMs,
    check: async (call) => {
      const info = String(await call('INFO', 'server'))
      const { fsync } = await checkServer(call, place)
      const clocks = await compareClocks(clock, async () => timeOf(await call('TIME')))
      const isLoose = fsync !== undefined && fsync !== 'always'
      const unsafe = `appendfsync is ${fsync}: what was acknowledged in the last second can be lost with the machine; set appendfsync always`
      facts = { version: versionIn(info), ...clocks, unsafe: isLoose ? [unsafe] : [] }
    },
    onDown: () => undefined,
  })
  try {
    await link.open()
  } finally {
    link.close()
  }
  return facts as BrokerFacts
}

function versionIn(info: string): string {
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1]
  return valkey === undefined
    ? `Redis ${/^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'}`
    : `Valkey ${valkey}`
}

/** `TIME` answers seconds and microseconds. */
function timeOf(reply: unknown): number {
  const [seconds, micros] = Array.isArray(reply) ? reply.map((part) => Number(String(part))) : []
  return (seconds ?? Number.NaN) * 1000 + (micros ?? 0) / 1000
}
