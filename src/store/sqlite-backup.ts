import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { backup, type DatabaseSync } from 'node:sqlite'
import { TreatyError } from '../core/errors.ts'
import { connectReader } from './sqlite-connect.ts'
import { mapSqliteError } from './sqlite-errors.ts'

/** Copies a database to the file `target`, which is then there whole or not at all. */
export async function backUp(
  source: { readonly db: DatabaseSync; readonly path: string; readonly isMemory: boolean },
  target: string,
): Promise<void> {
  const { db, path, isMemory } = source
  if (target === path) {
    throw new TreatyError('STORE_UNAVAILABLE', `the store ${path} cannot be its own backup`, {
      hint: 'Name another file.',
    })
  }
  const partial = `${target}.partial`
  try {
    mkdirSync(dirname(target), { recursive: true })
    rmSync(partial, { force: true })
    if (isMemory) {
      // Node's backup runs on another thread, but memory has only this connection: a write beside it
      // would meet it half-way, and the copy failed as "not an error".
      db.prepare('VACUUM INTO ?').run(partial)
    } else await copyPages(path, partial)
    renameSync(partial, target)
  } catch (error) {
    throw mapSqliteError(error, target)
  } finally {
    if (existsSync(partial)) rmSync(partial, { force: true })
  }
}

/** On a thread and a connection of its own, beside the writers. */
async function copyPages(path: string, target: string): Promise<void> {
  const reader = connectReader(path)
  try {
    // One step for all pages: a copy in several steps begins anew whenever another process commits.
    await backup(reader, target, { rate: 0x7fffffff })
  } finally {
    reader.close()
  }
}
