import type { CatalogEntry } from './entry.ts'

/** Codes of the HTTP server and its API. */
export const serverCodes = {} as const satisfies Record<string, CatalogEntry>
