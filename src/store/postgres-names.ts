import { createHash } from 'node:crypto'

/** Bytes of a name that are kept as they are; with a key of 2048 bytes beside it an index entry is still below 2704. */
const nameBytesMax = 512

/**
 * A collection or scope as it is kept: itself, or its digest where it would not fit into an index
 * entry together with a key of the greatest length. Only for names that are never given back.
 */
export function foldName(name: string): string {
  if (Buffer.byteLength(name) <= nameBytesMax) return name
  // The control character keeps folded names apart from those that people choose.
  return `\u0001${createHash('sha256').update(name).digest('hex')}`
}
