import { createHash } from 'node:crypto'
import type { Json } from '../core/json.ts'
import { contractToSource } from './contract-yaml.ts'
import type { Contract } from './model.ts'

/** The value with the keys of every object in one order, so that equal values give equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value as Record<string, Json>)
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]),
  )
}

/**
 * `sha256:…` over what a contract says: defaults filled in, schemas and examples included, reviews, status and
 * the names of files left out. The same for the same content however it is formatted; a review that names another one is void.
 */
export function contractDigest(contract: Contract): string {
  const { reviews: _reviews, status: _status, ...content } = contractToSource(contract)
  return `sha256:${createHash('sha256')
    .update(JSON.stringify(sorted(content)))
    .digest('hex')}`
}
