import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Contract, LoadedContracts } from '../../contracts/index.ts'
import { loadContracts } from '../../contracts/index.ts'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import { checkOutTree, resolveRevision } from './git-tree.ts'
import { fetchHistory } from './registry-client.ts'

/** The earlier versions of contracts, to compare with. */
export interface Baseline {
  /** Contract id → its earlier versions, the lowest first. */
  readonly versions: ReadonlyMap<string, readonly Contract[]>
  /** What it is, for people: `HEAD`, a folder, a URL. */
  readonly name: string
}

/** What a baseline is asked for. */
export interface BaselineRequest {
  /** A git revision, a folder or file, or the URL of a registry. */
  readonly against: string
  /** Absolute paths of the contracts that are checked. */
  readonly paths: readonly string[]
  readonly cwd: string
  /** Ids of the contracts that are checked: a registry may hold many more. */
  readonly ids: readonly string[]
  readonly signal?: AbortSignal
}

/**
 * Loads the earlier contracts. A name that is both a revision and a folder is the revision; write `./name` for the folder.
 *
 * @throws BASELINE_NOT_FOUND · BASELINE_UNAVAILABLE
 */
export async function loadBaseline(request: BaselineRequest): Promise<Baseline> {
  const { against, cwd, paths } = request
  if (/^https?:\/\//i.test(against)) {
    return { name: against, versions: await fetchHistory(against, request) }
  }
  const folder = resolve(cwd, against)
  const isPath = /^(?:\.{0,2}[/\\]|\.{1,2}$|[a-z]:[/\\])/i.test(against)
  const contracts: Contract[] = []
  let isFound = false
  for (const path of isPath ? [] : paths) {
    const commit = resolveRevision(path, against)
    if (commit === undefined) continue
    isFound = true
    contracts.push(...(await loadAt(path, commit)))
  }
  if (!isFound && existsSync(folder)) {
    isFound = true
    contracts.push(...(await loadContracts(folder)).contracts)
  }
  if (!isFound) {
    throw new TreatyError('BASELINE_NOT_FOUND', `there is no revision or folder ${against}`, {
      hint: 'Name a git revision such as HEAD or origin/main, a folder, or the URL of a registry.',
      details: { against },
    })
  }
  return { name: against, versions: byId(contracts) }
}

/** Findings that say that something outside of the folder is missing. */
const elsewhere = new Set(['SCHEMA_NOT_FOUND', 'EXAMPLE_NOT_FOUND', 'REF_NOT_FOUND', 'REF_OUTSIDE'])

async function loadAt(path: string, commit: string): Promise<readonly Contract[]> {
  try {
    const beside = await loadTree(path, commit, 'folder')
    const isWhole = !beside.findings.some(({ code }) => elsewhere.has(code))
    return isWhole ? beside.contracts : (await loadTree(path, commit, 'all')).contracts
  } catch (cause) {
    throw new TreatyError('BASELINE_UNAVAILABLE', `git cannot show it: ${errorMessage(cause)}`, {
      hint: 'Run git fsck, or name a folder with the earlier contracts.',
      cause,
    })
  }
}

async function loadTree(
  path: string,
  commit: string,
  scope: 'folder' | 'all',
): Promise<LoadedContracts> {
  using tree = checkOutTree(path, commit, scope)
  if (!existsSync(tree.path)) return { contracts: [], findings: [] }
  return await loadContracts(tree.path, { root: tree.root })
}

function byId(contracts: readonly Contract[]): Map<string, readonly Contract[]> {
  const found = new Map<string, Contract[]>()
  for (const contract of contracts) {
    const versions = found.get(contract.id)
    if (versions === undefined) found.set(contract.id, [contract])
    else versions.push(contract)
  }
  return found
}
