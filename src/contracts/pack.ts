import { join } from 'node:path'
import { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { suggest } from './did-you-mean.ts'
import { loadContractsSync } from './loader.ts'
import type { Contract } from './model.ts'

/** The contract packs that are shipped with Treaty. */
export const packNames = ['agent-platform', 'a2a-v1', 'github-webhooks'] as const
export type PackName = (typeof packNames)[number]

// The package's root is two levels up in the checkout (src/contracts) and as built (dist/contracts).
const packsFolder = join(import.meta.dirname, '..', '..', 'contracts')

const loaded = new Map<PackName, readonly Contract[]>()

/** Folder of a pack's contract files. */
export function packFolder(name: PackName): string {
  return join(packsFolder, name)
}

/**
 * The contracts of a pack; read once, the same array each time.
 *
 * @throws PACK_NOT_FOUND for another name · CONTRACT_INVALID when the files are damaged
 */
export function loadPack(name: PackName): readonly Contract[] {
  const known = loaded.get(name)
  if (known !== undefined) return known
  if (!packNames.includes(name)) {
    const hint = suggest(String(name), packNames)
    throw new TreatyError(
      'PACK_NOT_FOUND',
      `there is no pack ${JSON.stringify(name)}`,
      hint === undefined ? {} : { hint },
    )
  }
  const { contracts, findings } = loadContractsSync(packFolder(name))
  const errors = findings.filter((finding) => finding.severity === 'error')
  if (errors.length > 0) {
    throw unusable(name, errors)
  }
  loaded.set(name, contracts)
  return contracts
}

/** Where every error has the same cure, such as a package that is not installed, that is the hint. */
function unusable(name: PackName, errors: readonly Finding[]): TreatyError {
  const [hint, ...others] = [...new Set(errors.map((error) => error.hint))]
  const isOne = hint !== undefined && others.length === 0
  return new TreatyError(
    'CONTRACT_INVALID',
    isOne
      ? `the pack ${name} cannot be loaded: ${errors[0]?.message}`
      : `the files of the pack ${name} have ${errors.length} errors`,
    { hint: isOne ? hint : `Run treaty check --contracts pack:${name}.`, findings: errors },
  )
}
