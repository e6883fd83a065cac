import type { Clock } from '../../../core/clock.ts'
import type { BrokerFacts } from '../../watch/broker-facts.ts'
import { loadKafkaDriver } from './kafka-driver.ts'
import { parseKafkaUrl } from './url.ts'
import { createWire } from './wire.ts'

/** What level of features a Kafka cluster has agreed on; it tells neither its version nor its time. @throws the BROKER_ codes */
export async function aboutKafka(url: string, clock: Clock): Promise<BrokerFacts> {
  const target = parseKafkaUrl(url)
  const driver = await loadKafkaDriver()
  const wire = createWire(driver, target, clock)
  try {
    await wire.open()
    const server = await wire.anyServer()
    const { finalizedFeatures = [] } = await wire.control.call(
      server,
      driver.apiVersionsV3.api,
      'treaty',
      '1',
    )
    const level = finalizedFeatures.find(({ name }) => name === 'metadata.version')?.maxVersionLevel
    const version = level === undefined ? 'Kafka' : `Kafka, metadata.version level ${level}`
    const unsafe = target.isIdempotent
      ? []
      : ['idempotence=false: a message whose acknowledgement was lost is written twice']
    return { version, unsafe }
  } catch (error) {
    throw wire.known(error)
  } finally {
    await wire.close()
  }
}
