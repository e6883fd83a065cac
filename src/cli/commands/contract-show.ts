import type { Contract } from '../../contracts/index.ts'
import { formatDuration } from '../../core/duration.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { contractById, projectContracts } from '../project.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

type Data =
  | { readonly contracts: readonly Summary[] }
  | { readonly contract: Contract; readonly digest: string }
interface Summary {
  readonly id: string
  readonly version: string
  readonly status: string
  readonly purpose: string
  readonly events: number
  readonly commands: number
  readonly consumers: number
}

/** Lists the contracts, or shows one. */
export const contractShow: Command<CommandTable['contract show'], Data> = {
  async run({ id }, context) {
    const contracts = await projectContracts(context)
    if (id !== undefined) {
      const contract = contractById(contracts, id)
      const { contractDigest } = await import('../../contracts/index.ts')
      const digest = contractDigest(contract)
      return {
        data: { contract, digest },
        toText: (style) => contractText(contract, digest, style),
      }
    }
    const list = contracts.map(summaryOf)
    return { data: { contracts: list }, toText: (style) => listText(list, style) }
  },
}

function summaryOf(contract: Contract): Summary {
  const count = (record: object) => Object.keys(record).length
  const { id, version, status, purpose, events, commands, consumers } = contract
  return {
    id,
    version,
    status,
    purpose,
    events: count(events),
    commands: count(commands),
    consumers: count(consumers),
  }
}

function listText(list: readonly Summary[], style: Style): string {
  const rows = list.map((one) => [
    one.id,
    one.version,
    one.status,
    String(one.events),
    String(one.commands),
    String(one.consumers),
    one.purpose,
  ])
  return renderTable(
    ['contract', 'version', 'status', 'events', 'commands', 'consumers', 'purpose'],
    rows,
    style,
  )
}

function contractText(contract: Contract, digest: string, style: Style): string {
  const { owner, pattern } = contract
  const head = [
    `${style.bold(`${contract.id} ${contract.version}`)}  ${contract.status}`,
    contract.purpose,
    [
      `owner ${owner?.team ?? 'nobody'}`,
      `${pattern.style}, ${pattern.timing}, ${pattern.initiative}`,
      `envelope ${contract.envelope}`,
      `policy ${contract.evolution.policy}, ${contract.evolution.mode}`,
    ].join(' · '),
    style.dim(digest),
  ].join('\n')
  const events = Object.values(contract.events).map((event) => {
    const channel = contract.channels[event.channel]
    const key = channel?.key === undefined ? '' : `key ${channel.key}`
    return [event.name, channel?.address ?? event.channel, key, event.purpose]
  })
  const commands = Object.values(contract.commands).map((command) => [
    command.name,
    command.handler,
    formatDuration(command.timeoutMs),
    command.purpose,
  ])
  const consumers = Object.values(contract.consumers).map(
    ({ name, accepts, events: listed, retry, deadLetter, pending }) => [
      pending ? `${name} (pending)` : name,
      accepts,
      Object.keys(listed).join(', '),
      `${retry.attempts} attempts, from ${formatDuration(retry.baseMs)} to ${formatDuration(retry.capMs)}`,
      `${deadLetter.address} (${formatDuration(deadLetter.retentionMs)})`,
    ],
  )
  const producers = Object.values(contract.producers).map(({ name, onInvalid }) => [
    name,
    onInvalid,
  ])
  const section = (header: readonly string[], rows: readonly (readonly string[])[]) =>
    rows.length === 0 ? [] : [renderTable(header, rows, style)]
  return [
    head,
    ...section(['event', 'channel', 'order', 'purpose'], events),
    ...section(['command', 'handler', 'timeout', 'purpose'], commands),
    ...section(['producer', 'when invalid'], producers),
    ...section(['consumer', 'accepts', 'events', 'on failure', 'dead letters'], consumers),
  ].join('\n\n')
}
