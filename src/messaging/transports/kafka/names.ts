import { createHash } from 'node:crypto'

/** Longest name of a topic that Kafka takes. */
const lengthMax = 249

/**
 * The topic of an address. Kafka takes letters, digits, `.`, `_` and `-`; every other byte becomes `_x` and its two hexadecimal digits, and
 * a literal `_x` its own escape, so that no two addresses meet. Names that are too long end in a digest.
 */
export function topicOf(address: string, prefix = ''): string {
  const escaped = Buffer.from(address)
    .toString('latin1')
    .replaceAll('_x', '_x5Fx')
    .replace(/[^a-zA-Z0-9._-]/g, hexOf)
  const name = `${prefix}${escaped}`
  // The two names that mean places in a file system.
  const safe = /^\.{0,2}$/.test(name) ? `_x2E${name}` : name
  if (safe.length <= lengthMax) return safe
  const digest = createHash('sha256').update(address).digest('hex').slice(0, 24)
  return `${safe.slice(0, lengthMax - 26)}_x${digest}`
}

function hexOf(byte: string): string {
  return `_x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

/** The consumer group of Kafka's that stands for a group of ours. */
export function groupIdOf(group: string, prefix = ''): string {
  return topicOf(group, prefix)
}

/** A partition of a topic, as one group reads it. */
export interface Place {
  readonly topic: string
  readonly partition: number
}

/** Name of a lane; no topic holds the sign between. */
export function laneName({ topic, partition }: Place): string {
  return `${topic}#${partition}`
}

export function placeOf(lane: string): Place {
  const at = lane.lastIndexOf('#')
  return { topic: lane.slice(0, at), partition: Number(lane.slice(at + 1)) }
}

/** Place of a message as text that sorts like its offset within one partition. */
export function positionOf(partition: number, offset: number): string {
  return `${String(partition).padStart(4, '0')}-${String(offset).padStart(16, '0')}`
}

export function parsePosition(position: string): { partition: number; offset: number } | undefined {
  const parts = /^(\d{4,})-(\d{16,})$/.exec(position)
  return parts === null ? undefined : { partition: Number(parts[1]), offset: Number(parts[2]) }
}
