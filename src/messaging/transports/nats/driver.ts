import { TreatyError } from '../../../core/errors.ts'

/** The package `@nats-io/transport-node`. */
export type NatsDriver = typeof import('@nats-io/transport-node')

/**
 * Loads the driver, which nobody without NATS needs.
 *
 * @throws DRIVER_MISSING
 */
export async function loadNatsDriver(
  load: () => Promise<NatsDriver> = () => import('@nats-io/transport-node'),
): Promise<NatsDriver> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TreatyError(
      'DRIVER_MISSING',
      'NATS needs the package @nats-io/transport-node, which is not there',
      {
        hint: 'Run npm install @nats-io/transport-node@3.',
        details: { package: '@nats-io/transport-node' },
        cause,
      },
    )
  }
}
