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
  STORE_ACCESS_DENIED: {
    exitCode: 5,
    status: 503,
    retryable: false,
    meaning:
      'The database refused the user or the password, or the user lacks a right on the schema.',
    fix: 'Check user and password of the URL, the rules of the server (pg_hba.conf), and the rights on the schema.',
    example: 'treaty store migrate --store postgres://nobody:wrong@localhost/orders',
  },
  STORE_TLS_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning:
      'The connection to the database could not be made secure: one side wants TLS and the other has none, or the certificate is not trusted.',
    fix: 'Check sslmode and sslrootcert of the URL, and the certificate of the server.',
    example: "await openStore('postgres://treaty@localhost/orders?sslmode=verify-full')",
  },
  STORE_OUTDATED: {
    exitCode: 5,
    status: 503,
    retryable: false,
    meaning: 'The tables of the store are missing or older than this Treaty needs.',
    fix: 'Run treaty store migrate with a user who may create tables.',
    example: "await openPostgresStore(url, { migrations: 'verify' })",
  },
  STORE_URL_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'The URL of the store cannot be read. It is not repeated, because it may hold a password.',
    fix: 'Write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded.',
    example: "await openStore('postgres://treaty@local host/orders')",
  },
  DRIVER_MISSING: {
    exitCode: 5,
    status: 503,
    retryable: false,
    meaning:
      'The package that speaks to this database or broker is not installed; Treaty brings none of them along.',
    fix: 'Install the package that the message names.',
    example: "await openStore('postgres://treaty@localhost/orders')",
  },
} as const satisfies Record<string, CatalogEntry>
