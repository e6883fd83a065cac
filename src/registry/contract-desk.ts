import type { Contract } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import { type Finding, hasErrors } from '../core/finding.ts'
import type { StoredChange } from './changes.ts'
import { contractFrom, documentOf, factsOf } from './contract-document.ts'
import type { Documents } from './documents.ts'
import { createHistoryJudge } from './history-judge.ts'
import type { Ledger } from './ledger.ts'
import { createMessageSearch, type MessageSearch } from './message-search.ts'
import type {
  CompatibilityJudge,
  ContractVersion,
  Registered,
  Registry,
  ReviewInput,
} from './model.ts'
import { inOrder, latestOf, type RegistryState, type VersionState } from './state.ts'

/** Versions, their contents, and reviews. */
export type ContractDesk = MessageSearch &
  Pick<
    Registry,
    | 'register'
    | 'registerSource'
    | 'check'
    | 'checkSource'
    | 'impact'
    | 'contract'
    | 'version'
    | 'versions'
    | 'latest'
    | 'byHash'
    | 'source'
    | 'review'
  >

export interface ContractDeskOptions {
  readonly ledger: Ledger<RegistryState, StoredChange>
  readonly documents: Documents
  readonly judge: CompatibilityJudge
  readonly clock: Pick<Clock, 'now'>
}

export function createContractDesk(options: ContractDeskOptions): ContractDesk {
  const { ledger, documents } = options
  const history = createHistoryJudge(options)

  async function register(contract: Contract, by: string): Promise<Registered> {
    const { id, version } = contract
    const document = documentOf(contract)
    return ledger.change(async (state) => {
      const known = state.contracts.get(id)?.get(version)
      const done = (created: boolean, findings: readonly Finding[]) => () => ({
        version: publicVersion(versionIn(state, id, version) as VersionState),
        created,
        findings,
      })
      if (known) {
        if (known.hash !== document.hash) throw exists(known, document.hash)
        return { changes: [...laterChanges(known, contract, by)], result: done(false, []) }
      }
      const findings = await history.judge(state, contract)
      if (hasErrors(findings)) throw incompatible(contract, findings)
      await documents.put(document)
      const facts = factsOf(contract)
      const change = { kind: 'contract-registered', by, id, version, hash: document.hash, facts }
      const reviews = reviewChanges([], contract, document.hash)
      return {
        changes: [change as StoredChange, ...reviews],
        result: done(true, findings),
      }
    })
  }

  async function check(contract: Contract): Promise<readonly Finding[]> {
    const state = await ledger.read()
    const { hash } = documentOf(contract)
    const known = state.contracts.get(contract.id)?.get(contract.version)
    if (known && known.hash !== hash) throw exists(known, hash)
    const findings = known ? [] : await history.judge(state, contract)
    if (hasErrors(findings)) throw incompatible(contract, findings)
    return findings
  }

  return {
    ...createMessageSearch(ledger, documents),
    ...createVersionReading(ledger, documents),
    register,
    registerSource: async (source, by) => register(contractFrom(source), by),
    check,
    checkSource: async (source) => check(contractFrom(source)),
    impact: async (source) => history.impact(await ledger.read(), contractFrom(source)),
    review: (review, by) => recordReview(ledger, review, by),
  }
}

type VersionReading = Pick<
  ContractDesk,
  'contract' | 'version' | 'versions' | 'latest' | 'byHash' | 'source'
>

function createVersionReading(
  ledger: Ledger<RegistryState, StoredChange>,
  documents: Documents,
): VersionReading {
  const find = async (id: string, version: string) => versionIn(await ledger.read(), id, version)
  return {
    async contract(id, version) {
      const found = await find(id, version)
      const contract = found && (await documents.contract(found.hash))
      return contract && { ...contract, status: found.status, reviews: found.reviews }
    },
    async version(id, version) {
      const found = await find(id, version)
      return found && publicVersion(found)
    },
    async versions(id) {
      const state = await ledger.read()
      return inOrder(state.contracts.get(id)?.values() ?? []).map(publicVersion)
    },
    async latest() {
      const { contracts } = await ledger.read()
      return [...contracts.keys()].sort().flatMap((id) => {
        const found = latestOf(contracts.get(id)?.values() ?? [])
        return found ? [publicVersion(found)] : []
      })
    },
    async byHash(hash) {
      const found = (await ledger.read()).byHash.get(hash)
      return found && publicVersion(found)
    },
    source: (hash) => documents.source(hash),
  }
}

/** `latest` is a version too. */
export function versionIn(
  state: RegistryState,
  id: string,
  version: string,
): VersionState | undefined {
  const versions = state.contracts.get(id)
  return version === 'latest' ? latestOf(versions?.values() ?? []) : versions?.get(version)
}

export function publicVersion({
  facts,
  at,
  hash,
  reviews,
  ...rest
}: VersionState): ContractVersion {
  return {
    ...facts,
    ...rest,
    hash,
    registeredAt: new Date(at).toISOString(),
    reviews: reviews.filter((review) => review.digest === hash),
  }
}

/** What may change about a version that is registered: its status, and who has reviewed it. */
function* laterChanges(
  known: VersionState,
  contract: Contract,
  by: string,
): Iterable<StoredChange> {
  const { id, version, status } = contract
  if (status !== known.status) {
    yield { kind: 'contract-status-changed', by, id, version, status }
  }
  yield* reviewChanges(known.reviews, contract, known.hash)
}

function reviewChanges(
  known: VersionState['reviews'],
  contract: Contract,
  hash: string,
): StoredChange[] {
  const { id, version, reviews } = contract
  return reviews
    .filter(({ digest }) => digest === hash)
    .filter(({ consumer, by, at }) =>
      known.every((old) => old.consumer !== consumer || old.by !== by || old.at !== at),
    )
    .map(({ consumer, by, at, digest }) => {
      return { kind: 'reviewed', by, id, version, consumer, digest, on: at }
    })
}

function recordReview(
  ledger: Ledger<RegistryState, StoredChange>,
  review: ReviewInput,
  by: string,
): Promise<ContractVersion> {
  const { contract: id, consumer, digest, at } = review
  return ledger.change((state) => {
    const found = versionIn(state, id, review.version)
    if (!found) throw noContract(id, review.version)
    if (found.hash !== digest) {
      throw new TreatyError(
        'REVIEW_STALE',
        `the review is of ${digest.slice(0, 80)}, and ${id} ${found.version} is another content`,
        {
          hint: `Read ${id} ${found.version} and review ${found.hash}.`,
          details: { id, version: found.version, hash: found.hash },
        },
      )
    }
    const { version } = found
    const on = at === undefined ? {} : { on: at }
    const isKnown = found.reviews.some(
      (old) => old.consumer === consumer && old.by === by && (at === undefined || old.at === at),
    )
    return {
      changes: isKnown
        ? []
        : [{ kind: 'reviewed', by, id, version, consumer, digest, ...on } as const],
      result: () => publicVersion(found),
    }
  })
}

export function noContract(id: string, version: string): TreatyError {
  return new TreatyError(
    'CONTRACT_NOT_FOUND',
    `the registry holds no version ${version} of the contract \`${id}\``,
    { hint: 'List what there is with GET /api/contracts.', details: { id, version } },
  )
}

function exists(known: VersionState, hash: string): TreatyError {
  const { id, version, at, by } = known
  return new TreatyError(
    'CONTRACT_VERSION_EXISTS',
    `${id} ${version} was registered with other content by ${by}`,
    {
      hint: 'Raise the version of the contract and register that.',
      details: { id, version, hash: known.hash, refused: hash, registeredAt: at },
    },
  )
}

function incompatible(contract: Contract, findings: readonly Finding[]): TreatyError {
  const { id, version } = contract
  const errors = findings.filter(({ severity }) => severity === 'error')
  return new TreatyError(
    'CONTRACT_INCOMPATIBLE',
    `${id} ${version} breaks what was agreed: ${errors[0]?.message ?? ''}`,
    {
      hint: 'Mend what the findings name, raise the major version, or have the break waived.',
      details: { id, version, errors: errors.length },
      findings,
    },
  )
}
