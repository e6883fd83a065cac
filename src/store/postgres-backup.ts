import { execFile } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { errorMessage, TreatyError } from '../core/errors.ts'
import type { PostgresPlace } from './postgres-url.ts'

/**
 * Copies a consistent snapshot of our schema to `file`, in the custom format of `pg_dump`, which is what makes it and must be
 * installed, at least as new as the server. `pg_restore --no-owner --dbname URL file` brings it back.
 * The file appears whole, in place of an older one.
 *
 * @throws STORE_UNAVAILABLE when pg_dump is missing or fails, or where no file can be written
 */
export async function backupPostgres(place: PostgresPlace, file: string): Promise<void> {
  const folder = await beside(file, place)
  try {
    const dump = join(folder, basename(file))
    const { url, password } = apart(place.connection)
    const passFile = join(folder, 'pass')
    // Neither the list of processes nor the environment of children shall show it.
    if (password !== '') await writeFile(passFile, passLine(password), { mode: 0o600 })
    if (password !== '') url.searchParams.set('passfile', passFile)
    await runDump(place, [
      '--format=custom',
      // The option takes a pattern; in quotes it is the name.
      `--schema="${place.schema}"`,
      '--no-password',
      `--file=${dump}`,
      `--dbname=${url.href}`,
    ])
    await rename(dump, file)
  } catch (error) {
    throw error instanceof TreatyError ? error : cannotWrite(place, error)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A folder on the volume of the file, so that the copy can be moved into its place at once. */
async function beside(file: string, place: PostgresPlace): Promise<string> {
  try {
    return await mkdtemp(join(dirname(file), '.treaty-backup-'))
  } catch (error) {
    throw cannotWrite(place, error)
  }
}

function cannotWrite(place: PostgresPlace, cause: unknown): TreatyError {
  const isFull = (cause as { code?: unknown }).code === 'ENOSPC'
  return new TreatyError(
    isFull ? 'STORE_FULL' : 'STORE_UNAVAILABLE',
    `the backup of the store ${place.name} cannot be written`,
    {
      hint: 'Check that the folder exists and may be written, and that the volume has room.',
      details: { problem: errorMessage(cause) },
      cause,
    },
  )
}

function apart(connection: string): { url: URL; password: string } {
  const url = new URL(connection)
  const password = decodeURIComponent(url.password)
  url.password = ''
  return { url, password }
}

function passLine(password: string): string {
  return `*:*:*:*:${password.replaceAll(/[\\:]/g, '\\$&')}\n`
}

async function runDump(place: PostgresPlace, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('pg_dump', [...args])
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string }
    const isMissing = code === 'ENOENT'
    throw new TreatyError(
      'STORE_UNAVAILABLE',
      isMissing
        ? `the backup of the store ${place.name} needs pg_dump, which is not there`
        : `pg_dump could not copy the store ${place.name}`,
      {
        hint: isMissing
          ? 'Install the client programs of PostgreSQL (Debian: postgresql-client), or copy the database by its own means.'
          : 'Read what pg_dump says, in the details.',
        details: { pgDump: (stderr ?? errorMessage(cause)).slice(0, 2000) },
        // The cause would show the arguments, and with them the name of the user.
      },
    )
  }
}
