import { TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Bus } from '../../messaging/index.ts'
import {
  type BenchPlan,
  benchContract,
  createMeter,
  type LatencyMeasurement,
  type ThroughputMeasurement,
} from '../bench/measure.ts'
import { latencyText, throughputText } from '../bench/text.ts'
import type { ArgumentsOf, Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { absoluteUrl, hasScheme } from '../config/absolute-url.ts'
import { withPatience } from '../patience.ts'
import { createProblems } from '../problems.ts'

interface Data {
  readonly broker: string
  readonly settings: Omit<BenchPlan, 'name'>
  readonly latency: LatencyMeasurement | null
  readonly throughput: readonly ThroughputMeasurement[]
  /** True: channel and group of the measurement are gone; false: this broker keeps them until their time is over. */
  readonly isTakenAway: boolean
}
type Arguments = ArgumentsOf<CommandTable['bench']>

const batches = [1, 10, 100, 1000] as const
const defaults = { seconds: 5, size: 500, keys: 100 } as const

/** Measures a broker through a contract of its own. */
export const bench: Command<CommandTable['bench'], Data> = {
  async run(args, context) {
    const { transport } = await context.settings()
    const { openBus } = await import('../../messaging/index.ts')
    const plan = planOf(args, context)
    const place = args.url === undefined ? transport : placeOf(args.url, context.cwd)
    const opening = openBus({
      contracts: [benchContract(plan)],
      transport: context.reveal(place),
      store: 'memory:',
      clock: context.clock,
    })
    const bus = await withPatience(context, place, opening)
    const wholeSeconds = plan.seconds * (batches.length + 1)
    context.note(`measuring ${bus.transport.name} for about ${wholeSeconds} s …`)
    bus.onError(createProblems(context.clock, (line) => context.note(`problem ${line}`)))
    let isTakenAway = false
    try {
      const measured = await measure(bus as Bus, plan, context)
      isTakenAway = await takeAway(bus as Bus, plan)
      const data = { ...measured, isTakenAway }
      return { data, toText: () => (isTakenAway ? 'done, and taken away again' : 'done') }
    } finally {
      // Also where the measurement failed; that is then told, and not this.
      if (!isTakenAway) await takeAway(bus as Bus, plan).catch(() => undefined)
      await bus.close({ drainMs: 0 })
    }
  },
}

/** A mistyped URL must not become a file of that name, which is then measured. @throws TRANSPORT_UNKNOWN */
function placeOf(url: string, cwd: string): string {
  if (hasScheme(url) || /[./\\]/.test(url)) return absoluteUrl(url, cwd)
  throw new TreatyError('TRANSPORT_UNKNOWN', `"${url}" is no URL of a broker`, {
    hint: 'Write for example nats://localhost:4222 or sqlite:/tmp/bench.db.',
    details: { url },
  })
}

function planOf(args: Arguments, { clock }: CommandContext): BenchPlan {
  const { seconds = defaults.seconds, size = defaults.size, keys = defaults.keys } = args
  return { name: `b${createIdSource(clock)().replaceAll('-', '')}`, seconds, size, keys }
}

async function measure(
  bus: Bus,
  plan: BenchPlan,
  context: CommandContext,
): Promise<Omit<Data, 'isTakenAway'>> {
  const { name: broker } = bus.transport
  const { name: _name, ...settings } = plan
  const meter = await createMeter(bus, plan, context)
  const throughput: ThroughputMeasurement[] = []
  let latency: LatencyMeasurement | null = null
  try {
    const measured = await meter.latency()
    latency = measured
    await context.emit({ kind: 'latency', ...measured }, (style) =>
      [style.bold(`${broker}, ${plan.size} bytes of data`), latencyText(measured, style)].join(
        '\n',
      ),
    )
    for (const batch of batches) {
      if (context.stopping.aborted) break
      const row = await meter.throughput(batch)
      throughput.push(row)
      await context.emit({ kind: 'throughput', ...row }, (style) => throughputText(row, style))
    }
  } finally {
    await meter.stop()
  }
  return { broker, settings, latency, throughput }
}

async function takeAway({ transport }: Bus, { name }: BenchPlan): Promise<boolean> {
  if (transport.remove === undefined) return false
  await transport.remove({
    subscriptions: [],
    groups: [`bench.${name}.meter`],
    channels: [`treaty.bench.${name}`],
  })
  return true
}
