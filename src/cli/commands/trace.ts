import { TreatyError } from '../../core/errors.ts'
import type { Trace } from '../../messaging/index.ts'
import { needsHistory } from '../broker-history.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { plural } from '../finding-text.ts'
import { withBus } from '../project.ts'
import type { Style } from '../style.ts'

/** Shows all messages of one correlation id. */
export const trace: Command<CommandTable['trace'], Trace> = {
  run: ({ correlationId }, context) =>
    withBus(context, async (bus) => {
      needsHistory(bus.transport, 'a trace')
      const found = await bus.trace(correlationId)
      if (found.entries.length === 0) {
        throw new TreatyError(
          'TRACE_NOT_FOUND',
          `no message of the correlation id ${correlationId} is kept`,
          {
            hint: 'Check the id; messages are kept as long as the retention of their channel says.',
            details: { correlationId },
          },
        )
      }
      return { data: found, toText: (style) => traceText(found, style) }
    }),
}

function traceText({ entries, missing }: Trace, style: Style): string {
  const lines = entries.map(({ message, consumers, depth }) => {
    const { dim, bold, symbols } = style
    const branch = depth === 0 ? '' : `${'  '.repeat(depth - 1)}${symbols.arrow} `
    const states = consumers.map(({ consumer, state, attempts }) => {
      const paint = state === 'dead' ? style.red : state === 'done' ? style.green : style.yellow
      return paint(`${consumer} ${state}${attempts > 1 ? ` (${attempts} attempts)` : ''}`)
    })
    const to = states.length === 0 ? dim('nobody listens') : states.join(', ')
    return `${dim(message.timestamp)}  ${branch}${bold(message.type)}  ${dim(`${message.id} from ${message.source}`)}  ${to}`
  })
  if (missing.length > 0) {
    lines.push(
      style.dim(`${plural(missing.length, 'cause')} no longer kept: ${missing.join(', ')}`),
    )
  }
  return lines.join('\n')
}
