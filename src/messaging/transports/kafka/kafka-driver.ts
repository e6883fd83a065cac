import type * as Kafka from '@platformatic/kafka'
import { TreatyError } from '../../../core/errors.ts'

/** The client package: connections and the encoding of requests. What they mean is ours. */
export type KafkaDriver = typeof Kafka

/**
 * Loads the client, which nobody without Kafka needs.
 *
 * @throws DRIVER_MISSING
 */
export async function loadKafkaDriver(
  load: () => Promise<KafkaDriver> = () => import('@platformatic/kafka'),
): Promise<KafkaDriver> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TreatyError(
      'DRIVER_MISSING',
      'Kafka needs the package @platformatic/kafka, which is not there',
      {
        hint: 'Run npm install @platformatic/kafka@2.',
        details: { package: '@platformatic/kafka' },
        cause,
      },
    )
  }
}
