import type { Effort } from '../../src/testing/index.ts'

/** `npm run soak:faults` sets TREATY_SOAK=full; otherwise the figures of CI. */
export const isFullSoak = process.env.TREATY_SOAK === 'full'

/** Five minutes of soak and a kill in forty rounds of each crash behaviour. */
export const fullEffort: Partial<Effort> = { soakMs: 300_000, killRounds: 40 }
