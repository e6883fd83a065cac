import type { Capabilities } from '../../messaging/transport.ts'
import type { Stage } from './stage.ts'
import type { ChildTransport, TransportUnderTest } from './under-test.ts'

/** What is known of an adapter before a behaviour is run. */
export interface Facts {
  readonly capabilities: Capabilities
  readonly broker: TransportUnderTest
  readonly child: ChildTransport | undefined
  /** False where `open` gave a bare transport: there is no second connection to the same broker. */
  readonly reconnects: boolean
  /** The adapter has the optional members `inventory` and `remove`. */
  readonly takesInventory: boolean
}

/** One promise of the transport port, as something that can be tried. */
export interface Behaviour {
  readonly number: number
  /** Completes the sentence “a transport …”. */
  readonly statement: string
  /** Milliseconds within which it must be shown, without the soak's own time. */
  readonly boundMs: number
  /** Why it cannot be asked of this adapter; undefined: it can. */
  readonly unless?: (facts: Facts) => string | undefined
  readonly run: (stage: Stage) => Promise<void>
}

/** The names of capabilities that are claimed or denied as a whole. */
type Claim = Exclude<keyof Capabilities, 'denials' | 'emulations' | 'messageBytesMax'>

function isClaimed(capabilities: Capabilities, claim: Claim): boolean {
  const value = capabilities[claim]
  if (claim === 'priorityLevels') return capabilities.priorityLevels > 1
  if (typeof value === 'number') return value > 0
  if (typeof value === 'string') return value !== 'none'
  return value
}

/** The capabilities that an adapter denies. */
export function deniedClaims(capabilities: Capabilities): Claim[] {
  const names = Object.keys(capabilities) as (keyof Capabilities)[]
  return names
    .filter((name): name is Claim => !['denials', 'emulations', 'messageBytesMax'].includes(name))
    .filter((name) => !isClaimed(capabilities, name))
}

/** Asks a behaviour only of adapters that claim all of these. */
export function needs(...claims: Claim[]): (facts: Facts) => string | undefined {
  return ({ capabilities }) => {
    const denied = claims.find((claim) => !isClaimed(capabilities, claim))
    if (denied === undefined) return undefined
    return `${denied} is not claimed: ${capabilities.denials[denied] ?? 'no reason is given'}`
  }
}

/** Asks a behaviour only where a second connection to the same broker can be made. */
export function needsConnections(facts: Facts): string | undefined {
  if (facts.reconnects) return undefined
  return 'open() gives a bare transport, so no second connection to the same broker can be made'
}

/** Asks a behaviour only of adapters that can say what is on the broker, and take it away. */
export function needsInventory({ takesInventory }: Facts): string | undefined {
  return takesInventory ? undefined : 'the optional members inventory and remove are absent'
}

/** Asks a behaviour only where another process can use the broker. */
export function needsProcesses(facts: Facts): string | undefined {
  const denied = needs('multiProcess')(facts)
  if (denied !== undefined) return denied
  if (facts.broker.url === undefined) return 'open() gives no url, so no second process can connect'
  return facts.child ? undefined : 'the option `child` is missing, so no second process can connect'
}

/** The first reason that any of these conditions gives. */
export function all(
  ...conditions: ((facts: Facts) => string | undefined)[]
): (facts: Facts) => string | undefined {
  return (facts) => {
    for (const condition of conditions) {
      const reason = condition(facts)
      if (reason !== undefined) return reason
    }
    return undefined
  }
}
