import type { BusStats, EventCounts } from '../../messaging/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { eventText } from '../event-text.ts'
import { withBus } from '../project.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

const columns = [
  'published',
  'deliveries',
  'handled',
  'skipped',
  'retried',
  'dead',
  'expired',
  'waiting',
] as const

/** As `GET /api/stats`, and the rows by event and consumer. */
type Data = EventCounts & Pick<BusStats, 'byEvent' | 'rows'>

/** Shows the ledger. */
export const stats: Command<CommandTable['stats'], Data> = {
  async run(_args, context) {
    const { statsView } = await import('../../server/index.ts')
    const data = await withBus(context, async (bus): Promise<Data> => {
      const whole = await bus.stats()
      return { ...statsView(whole), rows: whole.rows }
    })
    return { data, toText: (style) => ledgerText(data, style) }
  },
}

function ledgerText(data: Data, style: Style): string {
  const numbers = (row: EventCounts) => columns.map((column) => String(row[column]))
  const rows = Object.entries(data.byEvent).flatMap(([event, row]) => [
    [eventText(event), ...numbers(row)],
    ...data.rows
      .filter((one) => one.event === event && one.consumer !== null)
      // What is published is published once, for all of them.
      .map((one) => [`  ${style.symbols.arrow} ${one.consumer}`, '', ...numbers(one).slice(1)]),
  ])
  if (rows.length === 0) return 'nothing was published yet'
  return renderTable(['event', ...columns], [...rows, ['all', ...numbers(data)]], style)
}
