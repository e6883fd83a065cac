import type { CatalogEntry } from './entry.ts'

/** Codes of contracts between agents, handoffs and gates. */
export const agentCodes = {
  AGENT_CONTRACT_UNKNOWN: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'There is no contract between agents of this name.',
    fix: 'Use TaskSpanContract, HandoffContract, ArtifactIntent or GateResult.',
    example: "validateContract('Handoff', payload)",
  },
  BOUNDARY_REFUSED: {
    exitCode: 3,
    status: 422,
    retryable: false,
    meaning:
      'A payload does not satisfy its contract between agents, so it did not cross the boundary in this direction.',
    fix: 'Do what the next_action of each error says.',
  },
} as const satisfies Record<string, CatalogEntry>
