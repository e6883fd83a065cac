import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { eventText } from '../event-text.ts'
import { plural } from '../finding-text.ts'
import { needConsumer, withBus } from '../project.ts'
import { renderTable } from '../table.ts'

const limitDefault = 50

interface Item {
  readonly id: string
  readonly messageId: string
  readonly event: string
  readonly consumer: string | null
  readonly reason: string
  readonly message: string | null
  readonly attempts: number
  readonly failedAt: string
}
interface Data {
  readonly items: readonly Item[]
  readonly next?: string
}

/** Lists dead letters, the oldest first. */
export const deadList: Command<CommandTable['dead list'], Data> = {
  async run({ consumer, event, reason, limit = limitDefault, cursor }, context) {
    // The API shows the same, so the form is the API's.
    const { deadSummary } = await import('../../server/index.ts')
    const filter = {
      ...(consumer === undefined ? {} : { consumer }),
      ...(event === undefined ? {} : { event }),
      ...(reason === undefined ? {} : { reason }),
    }
    const { data, total } = await withBus(context, async (bus) => {
      const page = await bus.dead.list({
        limit,
        ...filter,
        ...(cursor === undefined ? {} : { cursor }),
      })
      // Letters may outlive the consumer that no contract names any more; without any, it was mistyped.
      if (consumer !== undefined && page.items.length === 0) needConsumer(bus.contracts, consumer)
      const list: Data = { ...page, items: page.items.map(deadSummary) }
      const isAll = page.next === undefined && cursor === undefined
      return { data: list, total: isAll ? list.items.length : await bus.dead.count(filter) }
    })
    return {
      data,
      toText(style) {
        if (data.items.length === 0) return 'no dead letters'
        const rows = data.items.map((item) => [
          item.id,
          eventText(item.event),
          item.consumer ?? '(ingest)',
          item.reason,
          String(item.attempts),
          item.failedAt,
        ])
        const table = renderTable(
          ['dead letter', 'event', 'consumer', 'reason', 'attempts', 'failed at'],
          rows,
          style,
        )
        const more = data.next === undefined ? '' : `\n${style.dim(`more: --cursor ${data.next}`)}`
        const next = style.dim('next: treaty dead show ID, then treaty dead replay ID')
        const shown = total > rows.length ? `${rows.length} of ` : ''
        return `${table}${more}\n\n${shown}${plural(total, 'dead letter')}\n${next}`
      },
    }
  },
}
