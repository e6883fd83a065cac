import type { Message } from '../../contracts/index.ts'
import type { StoredMessage } from '../transport.ts'
import type { Trace, TraceEntry } from '../types.ts'

/**
 * The messages of one correlation id with causes before effects: depth first, brothers by
 * timestamp. A message whose cause is not kept stands at the root, and the cause is reported.
 */
export function causalOrder(
  correlationId: string,
  stored: readonly (StoredMessage & { message: Message })[],
): Trace {
  const known = new Map(stored.map((item) => [item.message.id, item]))
  const effects = new Map<string, (typeof stored)[number][]>()
  const roots: (typeof stored)[number][] = []
  const missing = new Set<string>()

  for (const item of stored) {
    const cause = item.message.metadata?.causation_id
    if (cause === undefined || cause === item.message.id || !known.has(cause)) {
      roots.push(item)
      if (cause !== undefined && !known.has(cause)) missing.add(cause)
    } else effects.set(cause, [...(effects.get(cause) ?? []), item])
  }

  const entries: TraceEntry[] = []
  const visited = new Set<string>()
  const pending = roots
    .sort(byTime)
    .reverse()
    .map((item) => ({ item, depth: 0 }))
  while (pending.length > 0) {
    const next = pending.pop()
    if (!next || visited.has(next.item.message.id)) continue
    visited.add(next.item.message.id)
    entries.push({ message: next.item.message, consumers: next.item.consumers, depth: next.depth })
    const children = (effects.get(next.item.message.id) ?? []).sort(byTime).reverse()
    for (const item of children) pending.push({ item, depth: next.depth + 1 })
  }
  return { correlationId, entries, missing: [...missing] }
}

function byTime(a: { message: Message }, b: { message: Message }): number {
  const left = a.message.timestamp
  const right = b.message.timestamp
  if (left === right) return a.message.id < b.message.id ? -1 : 1
  return left < right ? -1 : 1
}
