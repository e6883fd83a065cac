import type * as AmqpLib from 'amqplib'
import { TreatyError } from '../../../core/errors.ts'

/** The part of `amqplib` that we use; a peer that only those install who use RabbitMQ. */
export type RabbitmqDriver = Pick<typeof AmqpLib, 'connect'>

/**
 * Loads the driver, which nobody without RabbitMQ needs.
 *
 * @throws DRIVER_MISSING
 */
export async function loadRabbitmqDriver(
  load: () => Promise<RabbitmqDriver> = () => import('amqplib'),
): Promise<RabbitmqDriver> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TreatyError(
      'DRIVER_MISSING',
      'RabbitMQ needs the package amqplib, which is not there',
      { hint: 'Run npm install amqplib@2.', details: { package: 'amqplib' }, cause },
    )
  }
}
