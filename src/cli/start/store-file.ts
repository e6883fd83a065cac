import { existsSync, renameSync, rmSync } from 'node:fs'
import { basename } from 'node:path'

/** Files that SQLite keeps beside a database. */
const companions = ['', '-wal', '-shm'] as const

/** The file of an embedded transport or store; undefined for others. */
export function storeFile(url: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(url) && !/^sqlite:/i.test(url)) return undefined
  const path = url.replace(/^sqlite:(?:\/\/(?=\/))?/i, '')
  return path === '' || path === ':memory:' ? undefined : path
}

/**
 * Puts the database aside as `FILE.old`, replacing what an earlier call put there.
 *
 * @returns A sentence for people; undefined when there was nothing to put aside.
 */
export function putAside(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  for (const companion of companions) {
    rmSync(`${file}.old${companion}`, { force: true })
    if (existsSync(`${file}${companion}`))
      renameSync(`${file}${companion}`, `${file}.old${companion}`)
  }
  return `${basename(file)} was put aside as ${basename(file)}.old`
}
