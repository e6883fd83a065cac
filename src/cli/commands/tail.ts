import { delay } from '../../core/clock.ts'
import type { Bus } from '../../messaging/index.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { withBus } from '../project.ts'

const lookEveryMs = 250
const pageSize = 200

interface Data {
  readonly shown: number
}
type Arguments = ArgumentsOf<CommandTable['tail']>
type Row = Awaited<ReturnType<Bus['messages']>>['items'][number]

/** Shows messages as they are published, without consuming them. */
export const tail: Command<CommandTable['tail'], Data> = {
  run: (args, context) =>
    withBus(
      context,
      (bus) => follow(bus, args, context),
      () => shownResult(0),
    ),
}

async function follow(
  bus: Bus,
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  const { event, correlationId, max = Number.POSITIVE_INFINITY } = args
  const query = {
    limit: pageSize,
    ...(event === undefined ? {} : { event }),
    ...(correlationId === undefined ? {} : { correlationId }),
  }
  // What is named cannot come before it is known: a position that has passed stays passed.
  const seen = new Set<string>()
  let cursor: string | undefined
  let shown = 0
  let isFirst = args.all !== true
  await context.emit({ kind: 'ready' }, ({ dim }) => dim('looking; Ctrl-C ends'))
  while (!context.stopping.aborted && shown < max) {
    const page = await bus.messages({ ...query, ...(cursor === undefined ? {} : { cursor }) })
    for (const row of page.items) {
      const { id } = row.record
      if (seen.has(id)) continue
      seen.add(id)
      if (isFirst || shown >= max) continue
      shown += 1
      await show(row, context)
    }
    if (page.next !== undefined) {
      cursor = page.next
      seen.clear()
    } else {
      isFirst = false
      await delay(context.clock, lookEveryMs, context.stopping).catch(() => undefined)
    }
  }
  return shownResult(shown)
}

function shownResult(shown: number): CommandResult<Data> {
  return { data: { shown }, toText: () => `${shown} shown` }
}

function show({ record, message, consumers }: Row, context: CommandContext): Promise<void> {
  const line = {
    kind: 'message',
    id: record.id,
    event: record.type,
    position: record.position,
    publishedAt: new Date(record.publishedAt).toISOString(),
    correlationId: record.correlationId ?? null,
    key: record.key ?? null,
    data: message?.data ?? null,
    consumers,
  } as const
  return context.emit(line, ({ bold, dim, symbols }) => {
    const to = consumers.map(({ consumer, state }) => `${consumer} ${state}`).join(', ')
    return `${dim(line.publishedAt)}  ${bold(line.event)}  ${dim(record.id)}  ${symbols.arrow} ${to || 'nobody'}  ${JSON.stringify(line.data)}`
  })
}
