import { seededRandom } from '../../core/random.ts'
import type { Transport } from '../../messaging/transport.ts'
import type { Behaviour, Facts } from './behaviour.ts'
import { needsProcesses } from './behaviour.ts'
import { deadLettering } from './dead-lettering.ts'
import { delivery } from './delivery.ts'
import { disruption } from './disruption.ts'
import { effects } from './effects.ts'
import { exchange } from './exchange.ts'
import { flow } from './flow.ts'
import { ledger } from './ledger.ts'
import { ordering } from './ordering.ts'
import { publishing } from './publishing.ts'
import { retrying } from './retrying.ts'
import { shutdown } from './shutdown.ts'
import { soak } from './soak.ts'
import { createStage } from './stage.ts'
import { tidying } from './tidying.ts'
import { timing } from './timing.ts'
import type { ChildTransport, Effort, TransportUnderTest } from './under-test.ts'
import { within } from './waiting.ts'

/** The part of a test runner that a suite needs: vitest, node:test, and those like them. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it: TestFunction
}
export interface TestFunction {
  (name: string, body: (context?: unknown) => Promise<void>, timeoutMs?: number): unknown
  skip?: (name: string, body: () => void) => unknown
}

export interface DescribeTransportOptions {
  /** The caller's `{ describe, it }`. Default: vitest, imported when the suite is described. */
  readonly runner?: TestRunner
  /** How child processes come to the broker; without it the crash behaviours are listed as skipped. */
  readonly child?: ChildTransport
  /** The lease that the suite's connections ask for, in milliseconds. Default 1500. */
  readonly leaseMs?: number
  /** Repeats a run; printed with every failure. Default: a new one each time. */
  readonly seed?: number
  readonly effort?: Partial<Effort>
  /** Only these numbers. Default: all. */
  readonly only?: readonly number[]
  /** Multiplies every time bound, for slow machines and far brokers. Default 1. */
  readonly patience?: number
}

export type OpenTransport = () =>
  | Transport
  | TransportUnderTest
  | Promise<Transport | TransportUnderTest>

const defaultEffort = {
  soakMs: 20_000,
  killRounds: 5,
  orderKeys: 1000,
  orderMessages: 100,
  backlog: 100_000,
} as const satisfies Effort

const themes: readonly (readonly Behaviour[])[] = [
  publishing,
  delivery,
  retrying,
  deadLettering,
  ordering,
  timing,
  flow,
  shutdown,
  disruption,
  exchange,
  ledger,
  effects,
  tidying,
]

/** Every behaviour, in the order of its number. */
export const transportBehaviours: readonly Behaviour[] = [...themes.flat(), soak(true)].sort(
  (one, two) => one.number - two.number,
)

function isTransport(opened: Transport | TransportUnderTest): opened is Transport {
  return 'publish' in opened
}

/** A bare transport as a broker with one connection. */
function brokerOf(opened: Transport | TransportUnderTest): TransportUnderTest {
  if (!isTransport(opened)) return opened
  let connected = false
  return {
    async connect() {
      if (!connected) await opened.connect()
      connected = true
      return opened
    },
    dispose: () => opened.close({ drainMs: 0 }),
  }
}

/** Where no second process can be had, the soak restarts connections instead. */
function variantFor(behaviour: Behaviour, facts: Facts): Behaviour {
  return behaviour.number === 42 && needsProcesses(facts) !== undefined ? soak(false) : behaviour
}

interface SkippingContext {
  skip(reason: string): void
}
function canSkip(context: unknown): context is SkippingContext {
  // The context of vitest is a function, that of node:test an object.
  const holds = typeof context === 'function' || (typeof context === 'object' && context !== null)
  return holds && 'skip' in (context as object)
}

function explain(error: unknown, seed: number): unknown {
  if (!(error instanceof Error)) return error
  error.message = `${error.message}\n(seed ${seed}: give { seed: ${seed} } to repeat this run)`
  return error
}

async function tryBehaviour(
  asked: Behaviour,
  open: OpenTransport,
  options: DescribeTransportOptions & { readonly seed: number },
): Promise<string | undefined> {
  const { leaseMs = 1500 } = options
  const opened = await open()
  const broker = brokerOf(opened)
  const first = await broker.connect({ leaseMs })
  const facts: Facts = {
    capabilities: first.capabilities,
    broker,
    child: options.child,
    reconnects: !isTransport(opened),
    takesInventory: first.inventory !== undefined && first.remove !== undefined,
  }
  const behaviour = variantFor(asked, facts)
  const effort = { ...defaultEffort, ...options.effort }
  const { stage, leave } = createStage({
    ...facts,
    seed: options.seed,
    random: seededRandom(options.seed + behaviour.number),
    leaseMs,
    effort,
  })
  stage.defer(() => first.close({ drainMs: 0 }))
  const reason = behaviour.unless?.(facts)
  if (reason !== undefined) {
    await leave()
    return reason
  }
  try {
    const boundMs = boundOf(behaviour, options)
    await within(behaviour.run(stage), { boundMs, what: () => 'the behaviour to be shown' })
  } catch (error) {
    // The failure that is reported is the first one, not what it broke on the way out.
    await leave().catch(() => undefined)
    throw explain(error, options.seed)
  }
  await leave()
  return undefined
}

function boundOf(behaviour: Behaviour, options: DescribeTransportOptions): number {
  const soakMs = behaviour.number === 42 ? (options.effort?.soakMs ?? defaultEffort.soakMs) : 0
  const rounds = (options.effort?.killRounds ?? defaultEffort.killRounds) / defaultEffort.killRounds
  return behaviour.boundMs * (options.patience ?? 1) * Math.max(1, rounds) + soakMs
}

/**
 * The executable definition of {@link Transport}: a suite of 42 behaviours and a few beyond them.
 * Every adapter, ours or yours, passes it whole against its real broker; a behaviour that rests on
 * a capability which the adapter denies is listed as skipped, with the adapter's own reason.
 *
 * `open` gives a broker of its own for each behaviour (names are unique, so one that is shared will
 * do), or, for the simplest adapters, just a transport that is not yet connected. With a `runner`
 * everything is described before the call returns; without one vitest is imported first, so await
 * the call at the top of the test file:
 *
 * @example
 * import { describe, it } from 'vitest'
 * describeTransport('memory', () => createMemoryTransport(), { runner: { describe, it } })
 */
export async function describeTransport(
  name: string,
  open: OpenTransport,
  options: DescribeTransportOptions = {},
): Promise<void> {
  const runner = options.runner ?? (await defaultRunner())
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31)
  const asked = transportBehaviours.filter((each) => options.only?.includes(each.number) ?? true)
  runner.describe(`${name} keeps the transport contract`, () => {
    for (const behaviour of asked) {
      const body = async (context?: unknown) => {
        const reason = await tryBehaviour(behaviour, open, { ...options, seed })
        if (reason === undefined) return
        if (!canSkip(context)) throw new Error(`this runner cannot skip: ${reason}`)
        context.skip(reason)
      }
      const patienceMs = boundOf(behaviour, options) + 30_000
      runner.it(`${behaviour.number} ${behaviour.statement}`, body, patienceMs)
    }
  })
}

async function defaultRunner(): Promise<TestRunner> {
  const vitest = await import('vitest')
  return { describe: vitest.describe, it: vitest.it } as unknown as TestRunner
}
