import { TreatyError } from '../../core/errors.ts'
import type { Bus } from '../../messaging/index.ts'
import { needsHistory } from '../broker-history.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { withBus } from '../project.ts'
import { suggest } from '../suggest.ts'
import { compileFilter, type MessageFilter } from '../tail/filter.ts'
import { follow, type TailRow } from '../tail/follow.ts'
import { instantOf } from '../tail/from.ts'

interface Data {
  readonly shown: number
  /** Messages that the filter did not want. */
  readonly filtered: number
  /** Those among them at which the filter could not be evaluated. */
  readonly unclear: number
}
type Arguments = ArgumentsOf<CommandTable['tail']>

/** Shows messages as they are published, without consuming them. @throws UNKNOWN_EVENT · BROKER_CANNOT_LOOK_BACK */
export const tail: Command<CommandTable['tail'], Data> = {
  async run(args, context) {
    const filter = args.filter === undefined ? undefined : await compileFilter(args.filter)
    const { all, from, max } = args
    if (all === true && from !== undefined) {
      throw new TreatyError('USAGE', '--all and --from say different things', {
        hint: '--all is --from earliest: give one of them.',
      })
    }
    const since = all === true ? 0 : from && instantOf(from, context.clock.now())
    const data = { shown: 0, filtered: 0, unclear: 0 }
    const result = (): CommandResult<Data> => tailResult(data, filter)
    if (max === 0) return result()
    return withBus(
      context,
      async (bus) => {
        if (args.event !== undefined) needEvent(bus, args.event)
        if (typeof since === 'number') needsHistory(bus.transport, '--from')
        await context.emit({ kind: 'ready' }, ({ dim }) => dim('looking; Ctrl-C ends'))
        const tellWhere = progressOf(data, context)
        await follow(bus, queryOf(args, since), {
          context,
          async take(row) {
            if (filter?.matches(inputOf(row)) === false) {
              data.filtered += 1
              tellWhere()
            } else {
              data.shown += 1
              await show(row, context)
            }
            return data.shown < (max ?? Number.POSITIVE_INFINITY)
          },
        })
        return result()
      },
      result,
    )
  },
}

/** A mistyped event would be waited for until the end of days. @throws UNKNOWN_EVENT */
function needEvent({ contracts }: Bus, event: string): void {
  const names = contracts.flatMap(({ events, commands }) => [
    ...Object.keys(events),
    ...Object.keys(commands).flatMap((name) => [name, `${name}.reply`, `${name}.error`]),
  ])
  if (names.includes(event)) return
  throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has the event "${event}"`, {
    hint: suggest(event, names) ?? 'Look with treaty contract show.',
    details: { event },
  })
}

const tellEveryMs = 5000

/** Says how many were looked at in vain, where a filter lets nothing through for long. */
function progressOf(data: { readonly filtered: number }, { clock, note }: CommandContext) {
  let toldAt = clock.monotonic()
  return () => {
    if (clock.monotonic() - toldAt < tellEveryMs) return
    toldAt = clock.monotonic()
    note(`looked at ${data.filtered} that the filter does not want`)
  }
}

function queryOf({ event, correlationId }: Arguments, from: number | '' | undefined) {
  return {
    ...(event === undefined ? {} : { event }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(typeof from === 'number' ? { from } : {}),
  }
}

function tailResult(counted: Data, filter: MessageFilter | undefined): CommandResult<Data> {
  const data = { ...counted, unclear: filter?.failed ?? 0 }
  return {
    data,
    toText: ({ dim }) => {
      const rest = data.filtered === 0 ? '' : dim(`, ${data.filtered} filtered out`)
      const unclear =
        data.unclear === 0 ? '' : dim(`, ${data.unclear} of them unclear: ${filter?.lastFailure}`)
      return `${data.shown} shown${rest}${unclear}`
    },
  }
}

function inputOf({ record, message }: TailRow) {
  return {
    event: record.type,
    id: record.id,
    key: record.key ?? null,
    source: message?.source ?? null,
    correlationId: record.correlationId ?? null,
    publishedAt: record.publishedAt,
    data: message?.data ?? null,
    metadata: message?.metadata ?? {},
  }
}

function show({ record, message, consumers }: TailRow, context: CommandContext): Promise<void> {
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
