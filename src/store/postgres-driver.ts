import type * as Pg from 'pg'
import { TreatyError } from '../core/errors.ts'

/** The part of `pg` that we use; a peer that only those install who use PostgreSQL. */
export type PostgresDriver = Pick<typeof Pg, 'Pool' | 'Client'>

/**
 * Loads the driver, which nobody without PostgreSQL needs.
 *
 * @throws DRIVER_MISSING
 */
export async function loadPostgresDriver(
  load: () => Promise<PostgresDriver> = () => import('pg'),
): Promise<PostgresDriver> {
  try {
    return await load()
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new TreatyError('DRIVER_MISSING', 'PostgreSQL needs the package pg, which is not there', {
      hint: 'Run npm install pg@8.',
      details: { package: 'pg' },
      cause,
    })
  }
}
