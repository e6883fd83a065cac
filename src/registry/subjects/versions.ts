import { protocolCodes, refusal } from './refusal.ts'

/** The greatest number that a version can have. */
const versionMax = 2_147_483_647

/** A version as it is asked for: `latest`, `-1`, or a number. @throws SUBJECT_REFUSED (42202) */
export function parseVersionName(text: string): number | 'latest' {
  if (text === 'latest' || text === '-1') return 'latest'
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= versionMax) return number
  throw refusal(
    protocolCodes.invalidVersion,
    `'${text}' is no version: use a number from 1 to ${versionMax}, or "latest".`,
  )
}

/** @throws SUBJECT_REFUSED (40402, 42202) */
export function versionNamed<Entry extends { readonly version: number }>(
  entries: readonly Entry[],
  text: string,
): Entry {
  const wanted = parseVersionName(text)
  const found =
    wanted === 'latest' ? entries.at(-1) : entries.find(({ version }) => version === wanted)
  if (found) return found
  throw refusal(protocolCodes.versionNotFound, `Version ${text} not found.`)
}
