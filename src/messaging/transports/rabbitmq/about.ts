import type { Clock } from '../../../core/clock.ts'
import { systemRandom } from '../../../core/random.ts'
import type { BrokerFacts } from '../../watch/broker-facts.ts'
import { loadRabbitmqDriver } from './driver.ts'
import { createLink } from './link.ts'
import { readRabbitmqUrl } from './url.ts'

/** Version of a RabbitMQ broker, which does not tell its time. @throws the BROKER_ codes */
export async function aboutRabbitmq(url: string, clock: Clock): Promise<BrokerFacts> {
  const place = readRabbitmqUrl(url)
  const link = createLink({
    driver: await loadRabbitmqDriver(),
    place,
    clock,
    random: systemRandom,
    purpose: 'doctor',
  })
  try {
    await link.open()
    const channel = await link.channel()
    const { product = 'RabbitMQ', version = 'unknown' } = channel.connection.serverProperties
    const unsafe = [
      ...(link.isBlocked ? ['an alarm for memory or disk holds back what is published'] : []),
      ...(place.queues === 'classic'
        ? ['queues=classic: the messages of a queue are on one node only, and lost with its disk']
        : []),
    ]
    return { version: `${product} ${version}`, unsafe }
  } finally {
    await link.close()
  }
}
