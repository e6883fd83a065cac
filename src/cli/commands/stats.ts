import type { EventCounts } from '../../messaging/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
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

type Data = EventCounts & { readonly byEvent: Readonly<Record<string, EventCounts>> }

/** Shows the ledger. */
export const stats: Command<CommandTable['stats'], Data> = {
  async run(_args, context) {
    // The API shows the same, so the form is the API's.
    const { statsView } = await import('../../server/index.ts')
    const data = await withBus(context, async (bus) => statsView(await bus.stats()))
    return { data, toText: (style) => ledgerText(data, style) }
  },
}

function ledgerText(data: Data, style: Style): string {
  const numbers = (row: EventCounts) => columns.map((column) => String(row[column]))
  const rows = Object.entries(data.byEvent).map(([event, row]) => [event, ...numbers(row)])
  if (rows.length === 0) return 'nothing was published yet'
  return renderTable(['event', ...columns], [...rows, ['all', ...numbers(data)]], style)
}
