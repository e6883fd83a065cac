import type { Consumer, Contract } from '../contracts/index.ts'
import { consumerViews, contractToSource, satisfies } from '../contracts/index.ts'
import { isTreatyError, TreatyError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { isJsonObject, toPointer } from '../core/json.ts'
import type { StoredChange } from './changes.ts'
import { type ContractDesk, noContract } from './contract-desk.ts'
import { contractFrom } from './contract-document.ts'
import type { Ledger } from './ledger.ts'
import type { ConsumerPush, ConsumerRegistration, Registry } from './model.ts'
import { keyOf, type RegistryState } from './state.ts'

/** Consumers that register themselves, from repositories of their own. */
export type ConsumerDesk = Pick<Registry, 'pushConsumer' | 'consumers' | 'withdrawConsumer'>

export function createConsumerDesk(
  ledger: Ledger<RegistryState, StoredChange>,
  contracts: Pick<ContractDesk, 'contract' | 'versions'>,
): ConsumerDesk {
  return {
    async pushConsumer(push, by) {
      const base = await baseOf(contracts, push)
      const consumer = readEntry(base, push)
      const { contract, consumer: name, version, environment } = push
      const change = {
        kind: 'consumer-registered',
        by,
        contract,
        consumer: name,
        version,
        ...(environment === undefined ? {} : { environment }),
        since: consumer.since ?? base.version,
        entry: entryOf(base, consumer),
        views: consumerViews(consumer, base) as unknown as JsonObject,
      } as const
      const key = keyOf(contract, name, version)
      return ledger.change((state) => {
        const known = state.consumers.get(key)
        const same = known && isSame(known, change)
        return {
          changes: same ? [] : [change as unknown as StoredChange],
          result: () => state.consumers.get(key) as ConsumerRegistration,
        }
      })
    },
    async consumers({ contract, consumer, environment } = {}) {
      const { consumers } = await ledger.read()
      return [...consumers.values()].filter(
        (one) =>
          (contract === undefined || one.contract === contract) &&
          (consumer === undefined || one.consumer === consumer) &&
          (environment === undefined || one.environment === environment),
      )
    },
    withdrawConsumer: ({ contract, consumer, version }, by) =>
      ledger.change((state) => {
        const isKnown = state.consumers.has(keyOf(contract, consumer, version))
        const change = { kind: 'consumer-withdrawn', by, contract, consumer, version } as const
        return { changes: isKnown ? [change] : [], result: () => isKnown }
      }),
  }
}

function isSame(known: ConsumerRegistration, change: object): boolean {
  const { registeredAt: _at, by: _by, ...before } = known
  const { by: _author, kind: _kind, ...after } = change as Record<string, unknown>
  return JSON.stringify(before) === JSON.stringify(after)
}

/** The version that the entry names with `since`, else the highest that it accepts, else the latest. */
async function baseOf(
  contracts: Pick<ContractDesk, 'contract' | 'versions'>,
  { contract: id, entry }: ConsumerPush,
): Promise<Contract> {
  const since = typeof entry.since === 'string' ? entry.since : undefined
  const range = typeof entry.accepts === 'string' ? entry.accepts : undefined
  const accepted = (await contracts.versions(id)).findLast(
    ({ version }) => range !== undefined && satisfies(version, range),
  )
  const version = since ?? accepted?.version ?? 'latest'
  const base = await contracts.contract(id, version)
  if (base) return base
  throw noContract(id, version)
}

/** The entry as a part of the contract, held to the same rules. */
function readEntry(base: Contract, { consumer: name, entry }: ConsumerPush): Consumer {
  const source = contractToSource(base)
  const place = toPointer(['consumers', name])
  try {
    const read = contractFrom({ ...source, consumers: { [name]: entry } }).consumers[name]
    if (read) return read
  } catch (error) {
    if (!isTreatyError(error) || error.code !== 'CONTRACT_INVALID') throw error
    const findings = error.findings.filter(({ pointer }) => pointer?.startsWith(place))
    throw new TreatyError(
      'CONTRACT_INVALID',
      `the entry of \`${name}\` does not fit ${base.id} ${base.version}`,
      {
        hint: 'Mend what the findings list.',
        findings: findings.length > 0 ? findings : error.findings,
      },
    )
  }
  throw new TreatyError('CONTRACT_INVALID', `the entry of \`${name}\` cannot be read`)
}

function entryOf(base: Contract, consumer: Consumer): JsonObject {
  const { consumers } = contractToSource({ ...base, consumers: { [consumer.name]: consumer } })
  const entry = isJsonObject(consumers) ? consumers[consumer.name] : undefined
  return isJsonObject(entry) ? entry : {}
}
