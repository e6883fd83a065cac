import type { CatalogEntry } from './entry.ts'

/** Codes of the store: the database behind broker, registry and state. */
export const storeCodes = {
  STORE_BUSY: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'Another process held the write lock of the database file for longer than the wait allows.',
    fix: 'Try again; if it stays so, find the process that keeps a transaction open on the file.',
  },
  STORE_TOO_NEW: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning: 'The store was written by a newer Treaty, whose tables this one does not know.',
    fix: 'Install the newer Treaty, or use another store file.',
  },
  STORE_CORRUPT: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning: 'The file is not a SQLite database, or its pages are damaged.',
    fix: 'Restore it from a backup (treaty store backup), or start with another file.',
  },
  STORE_FULL: {
    exitCode: 6,
    status: 507,
    retryable: true,
    meaning: 'The disk is full, so the write was refused; what was acknowledged before is kept.',
    fix: 'Free space on the volume of the store and try again.',
  },
  STORE_KEY_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'A name or key for the store is empty, longer than 512 characters, or holds characters that not every database can keep.',
    fix: 'Use 1 to 512 characters of well-formed text without the character NUL.',
    example: "await store.records.put('settings', '', true)",
  },
  STORE_UNAVAILABLE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The store could not be opened or written.',
    fix: 'Check path, permissions and volume of the store.',
  },
} as const satisfies Record<string, CatalogEntry>
