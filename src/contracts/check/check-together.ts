import type { LoadedContract } from '../read/loaded-contract.ts'
import { shown } from '../read/shape.ts'

/** Rules between the contracts of one load: versions, message names, addresses. Linear in their number. */
export function checkTogether(loaded: readonly LoadedContract[]): void {
  checkVersions(loaded)
  checkNames(loaded)
  checkAddresses(loaded)
}

function where({ contract }: LoadedContract): string {
  return contract.file === undefined ? `\`${contract.id}\`` : `\`${contract.file}\``
}

function checkVersions(loaded: readonly LoadedContract[]): void {
  const seen = new Map<string, LoadedContract>()
  for (const each of loaded) {
    const { id, version } = each.contract
    const other = seen.get(`${id}@${version}`)
    if (other) {
      const message = `version ${version} of \`${id}\` is also in ${where(other)}`
      const hint = 'remove one of the two, or raise the version of the newer one'
      each.report.add('CONTRACT_DUPLICATE', message, ['version'], { hint })
    }
    seen.set(`${id}@${version}`, each)
  }
}

/** A message is recognised by its type alone, so two contracts that use one name cannot run in one bus. */
function checkNames(loaded: readonly LoadedContract[]): void {
  const owners = new Map<string, LoadedContract>()
  for (const each of loaded) {
    for (const kind of ['events', 'commands'] as const) {
      for (const name of Object.keys(each.contract[kind])) {
        const other = owners.get(name)
        if (other && other.contract.id !== each.contract.id) {
          each.report.add(
            'EVENT_AMBIGUOUS',
            `\`${name}\` is also defined in ${where(other)}`,
            [kind, name],
            {
              at: 'key',
              severity: 'warning',
              hint: 'rename one of the two, or do not load both into one bus',
              event: name,
            },
          )
        }
        owners.set(name, each)
      }
    }
  }
}

function checkAddresses(loaded: readonly LoadedContract[]): void {
  const channels = new Map<string, { each: LoadedContract; shared: boolean }>()
  for (const each of loaded) {
    for (const { name, address, shared = false } of Object.values(each.contract.channels)) {
      const other = channels.get(address)
      if (other && other.each.contract.id !== each.contract.id && !(shared && other.shared)) {
        const message = `the address ${shown(address)} is also used by ${where(other.each)}`
        each.report.add('ADDRESS_SHARED', message, ['channels', name, 'address'], {
          hint: 'give each its own address, or write `shared: true` in both contracts',
        })
      }
      channels.set(address, { each, shared })
    }
  }
  checkDeadLetters(loaded, new Map([...channels].map(([address, { each }]) => [address, each])))
}

function checkDeadLetters(
  loaded: readonly LoadedContract[],
  channels: ReadonlyMap<string, LoadedContract>,
): void {
  const owners = new Map<string, { each: LoadedContract; consumer: string }>()
  for (const each of loaded) {
    for (const { name, deadLetter } of Object.values(each.contract.consumers)) {
      const { address } = deadLetter
      const path = ['consumers', name, 'deadLetter', 'address']
      const channel = channels.get(address)
      const other = owners.get(address)
      if (channel && channel.contract.id !== each.contract.id) {
        const message = `the dead letters of \`${name}\` go to ${shown(address)}, a channel of ${where(channel)}`
        each.report.add('DEAD_LETTER_COLLISION', message, path, { consumer: name })
      } else if (other && other.each.contract.id !== each.contract.id) {
        const message = `the dead letter address ${shown(address)} is also that of \`${other.consumer}\` in ${where(other.each)}`
        each.report.add('DEAD_LETTER_COLLISION', message, path, { consumer: name })
      }
      owners.set(address, { each, consumer: name })
    }
  }
}
