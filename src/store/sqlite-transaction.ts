import type { DatabaseSync } from 'node:sqlite'
import { TreatyError } from '../core/errors.ts'

/**
 * A function that runs work between BEGIN IMMEDIATE and COMMIT, or, inside such work, within a
 * savepoint. One for a connection, which must not be given a transaction by other means.
 */
export function createTransact(db: DatabaseSync): <T>(work: () => T) => T {
  /** Why the transaction in progress must not be committed any more. */
  let doom: { readonly cause: unknown } | undefined

  const whole = <T>(work: () => T): T => {
    try {
      db.exec('BEGIN IMMEDIATE')
      const result = synchronous(work())
      if (doom !== undefined) throw doom.cause
      db.exec('COMMIT')
      return result
    } catch (error) {
      // A full disk or an I/O error may have rolled everything back already.
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
      throw error
    } finally {
      doom = undefined
    }
  }
  const part = <T>(work: () => T): T => {
    db.exec('SAVEPOINT part')
    try {
      const result = synchronous(work())
      db.exec('RELEASE part')
      return result
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK TO part; RELEASE part')
      else {
        // SQLite has rolled back the whole, and a caller that goes on would now commit statement by
        // statement. What it still does goes into a transaction that never ends well.
        doom ??= { cause: error }
        db.exec('BEGIN')
      }
      throw error
    }
  }
  return (work) => (db.isTransaction ? part(work) : whole(work))
}

function synchronous<T>(result: T): T {
  if (!(result instanceof Promise)) return result
  throw new TreatyError('UNFORESEEN', 'the work of a transaction returned a promise', {
    hint: 'Await before the transaction; everything inside it must be synchronous.',
  })
}
