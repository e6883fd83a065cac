import type { LoadedContract } from './loader.ts'

/** Rules between contracts; filled below. */
export function checkTogether(_loaded: readonly LoadedContract[]): void {}
