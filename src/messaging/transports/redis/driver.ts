import type * as IoRedis from 'ioredis'
import { TreatyError } from '../../../core/errors.ts'

/** The part of `ioredis` that we use; a peer that only those install who use Redis or Valkey. */
export type RedisDriver = Pick<typeof IoRedis, 'Redis' | 'Command'>

/**
 * Loads the driver, which nobody without Redis needs.
 *
 * @throws DRIVER_MISSING
 */
export async function loadRedisDriver(
  load: () => Promise<RedisDriver> = () => import('ioredis'),
): Promise<RedisDriver> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TreatyError('DRIVER_MISSING', 'Redis needs the package ioredis, which is not there', {
      hint: 'Run npm install ioredis@6.',
      details: { package: 'ioredis' },
      cause,
    })
  }
}
