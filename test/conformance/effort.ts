import type { Effort } from '../../src/testing/index.ts'

/** `npm run soak` sets TREATY_SOAK=full; otherwise the figures of CI. */
export const isFullSoak = process.env.TREATY_SOAK === 'full'

export const effort: Partial<Effort> = isFullSoak
  ? { soakMs: 300_000, killRounds: 40 }
  : { soakMs: 20_000, killRounds: 5 }
