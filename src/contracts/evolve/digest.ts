import { createHash } from 'node:crypto'
import { canonicalJson } from '../../core/canonical-json.ts'
import type { Contract } from '../model.ts'
import { contractToSource } from '../read/contract-yaml.ts'

/**
 * `sha256:…` over what a contract says: defaults filled in, schemas and examples included, reviews, status and
 * the names of files left out. The same for the same content however it is formatted; a review that names another one is void.
 */
export function contractDigest(contract: Contract): string {
  const { reviews: _reviews, status: _status, ...content } = contractToSource(contract)
  return `sha256:${createHash('sha256').update(canonicalJson(content)).digest('hex')}`
}
