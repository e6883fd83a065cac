import type { CatalogEntry } from './entry.ts'

/** Codes of the bus, its transports and dead letters. */
export const messagingCodes = {
  UNKNOWN_EVENT: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No loaded contract has an event or command of this name.',
    fix: 'Check the name against treaty contract show, or load the contract that defines it.',
    example: "await bus.publish('order.plcaed', data)",
  },
  BUS_CLOSED: {
    exitCode: 6,
    status: 503,
    retryable: false,
    meaning: 'The bus was closed, or is closing, and takes no more work.',
    fix: 'Open a new bus; publish before calling close.',
  },
} as const satisfies Record<string, CatalogEntry>
