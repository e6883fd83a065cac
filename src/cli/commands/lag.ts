import { delay } from '../../core/clock.ts'
import type { TransportStats } from '../../messaging/index.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { withPatience } from '../patience.ts'
import { needConsumer, withBus } from '../project.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

/** One consumer, or the handler of one command, as far as the broker can tell. */
interface Row {
  readonly group: string
  readonly consumer: string
  /** Waiting to be handed out. */
  readonly ready: number
  readonly inFlight: number
  /** Waiting for a retry or a delayed publish. */
  readonly delayed: number
  /** Waiting behind an earlier message of the same key. */
  readonly blocked: number
  /** Milliseconds since the oldest of them was published; null: nothing waits. */
  readonly oldestAgeMs: number | null
}
interface Data {
  readonly consumers: readonly Row[]
}
type Arguments = ArgumentsOf<CommandTable['lag']>

const everyMsDefault = 2000

/** Shows how far each consumer is. A backlog is no error: exit 0. @throws CONSUMER_NOT_FOUND */
export const lag: Command<CommandTable['lag'], Data> = {
  run: (args, context) =>
    withBus(
      context,
      async (bus) => {
        if (args.consumer !== undefined) needConsumer(bus.contracts, args.consumer)
        const names = namesOf(bus.contracts)
        const look = async () => rowsOf(await bus.transport.stats(), names, args.consumer)
        const { transport } = await context.settings()
        if (args.watch !== true) return lagResult(await withPatience(context, transport, look()))
        return watch(look, args, context)
      },
      () => lagResult([]),
    ),
}

async function watch(
  look: () => Promise<readonly Row[]>,
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  let consumers = await look()
  while (!context.stopping.aborted) {
    const at = new Date(context.clock.now()).toISOString()
    await context.emit(
      { kind: 'lag', at, consumers },
      (style) => `${style.dim(at)}\n${lagText(consumers, style)}\n`,
    )
    await delay(context.clock, args.every ?? everyMsDefault, context.stopping).catch(
      () => undefined,
    )
    consumers = await look()
  }
  return lagResult(consumers)
}

/** Consumer by group, so that a contract's own order is kept. */
function namesOf(
  contracts: readonly {
    readonly id: string
    readonly consumers: Readonly<Record<string, { readonly name: string }>>
    readonly commands: Readonly<Record<string, { readonly name: string; readonly handler: string }>>
  }[],
): ReadonlyMap<string, string> {
  return new Map(
    contracts.flatMap(({ id, consumers, commands }) => [
      ...Object.values(consumers).map(({ name }) => [`${id}.${name}`, name] as const),
      ...Object.values(commands).map(
        ({ name, handler }) => [`${id}.${handler}.${name}`, handler] as const,
      ),
    ]),
  )
}

function rowsOf(
  { groups }: TransportStats,
  names: ReadonlyMap<string, string>,
  only: string | undefined,
): Row[] {
  const byName = new Map(groups.map((group) => [group.group, group]))
  return [...names].flatMap(([group, consumer]) => {
    const found = byName.get(group)
    if (found === undefined || (only !== undefined && only !== consumer)) return []
    const { ready, inFlight, delayed, blocked, oldestAgeMs } = found
    return [{ group, consumer, ready, inFlight, delayed, blocked, oldestAgeMs }]
  })
}

function lagResult(consumers: readonly Row[]): CommandResult<Data> {
  return { data: { consumers }, toText: (style) => lagText(consumers, style) }
}

function lagText(consumers: readonly Row[], style: Style): string {
  if (consumers.length === 0) return 'no consumer has a group on this broker'
  return renderTable(
    ['consumer', 'ready', 'in flight', 'delayed', 'blocked', 'oldest'],
    consumers.map((row) => [
      row.group,
      ...[row.ready, row.inFlight, row.delayed, row.blocked].map(String),
      ageText(row.oldestAgeMs),
    ]),
    style,
  )
}

function ageText(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`
}
