import type { CatalogEntry } from './entry.ts'

/** Codes of contracts between agents, handoffs and gates. */
export const agentCodes = {} as const satisfies Record<string, CatalogEntry>
