import { type Clock, systemClock } from '../../core/clock.ts'
import { isPostgresUrl } from '../../store/index.ts'
import type { BrokerFacts } from './broker-facts.ts'

/**
 * Asks the broker of a URL over a connection of its own, and closes it. Undefined for the embedded ones, which run on this host's clock.
 *
 * @throws DRIVER_MISSING, BROKER_URL_INVALID, and the BROKER_ and STORE_ codes of reaching it
 */
export async function brokerFacts(
  url: string,
  options: { readonly clock?: Clock } = {},
): Promise<BrokerFacts | undefined> {
  const { clock = systemClock } = options
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(url)?.[1]?.toLowerCase() ?? ''
  if (/^(rediss?|valkeys?)$/.test(scheme)) {
    return (await import('../transports/redis/about.ts')).aboutRedis(url, clock)
  }
  if (isPostgresUrl(url)) {
    return (await import('../transports/postgres/about.ts')).aboutPostgres(url, clock)
  }
  if (/^(nats|tls|nats\+tls)$/.test(scheme)) {
    return (await import('../transports/nats/about.ts')).aboutNats(url, clock)
  }
  if (/^amqps?$/.test(scheme)) {
    return (await import('../transports/rabbitmq/about.ts')).aboutRabbitmq(url, clock)
  }
  if (/^kafka(\+ssl)?$/.test(scheme)) {
    return (await import('../transports/kafka/about.ts')).aboutKafka(url, clock)
  }
  return undefined
}
