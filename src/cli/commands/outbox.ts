import { TreatyError } from '../../core/errors.ts'
import type { OutboxStatus, Page, ParkedMessage } from '../../messaging/index.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { withOutbox } from '../outbox-place.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

const limitDefault = 50

/** Shows what waits in an outbox. */
export const outboxStatus: Command<CommandTable['outbox status'], OutboxStatus> = {
  async run({ outbox }, context) {
    const data = await withOutbox(outbox, context, (database) => database.status())
    return {
      exitCode: data.parked > 0 ? exitCode.findings : exitCode.ok,
      data,
      toText: (style) => statusText(data, style),
    }
  },
}

function statusText(data: OutboxStatus, { bold, dim, red, green, symbols }: Style): string {
  const oldest =
    data.oldestAgeMs === null ? '' : `, the oldest since ${(data.oldestAgeMs / 1000).toFixed(1)} s`
  const lines = [
    bold(data.database),
    data.backlog === 0
      ? `${green(`${symbols.ok} ok`)}  nothing waits`
      : `${data.backlog} waiting${oldest}${data.failing > 0 ? `, ${data.failing} failing` : ''}`,
  ]
  if (data.parked > 0) {
    lines.push(
      `${red(`${symbols.fail} parked`)}  ${data.parked}  ${dim('treaty outbox parked says which')}`,
    )
  }
  return lines.join('\n')
}

/** Lists what the broker refused too often. */
export const outboxParked: Command<CommandTable['outbox parked'], Page<ParkedMessage>> = {
  async run({ outbox, limit = limitDefault, cursor }, context) {
    const page = { limit, ...(cursor === undefined ? {} : { cursor }) }
    const data = await withOutbox(outbox, context, (database) => database.parked(page))
    return { data, toText: (style) => parkedText(data, style) }
  },
}

function parkedText({ items, next }: Page<ParkedMessage>, style: Style): string {
  if (items.length === 0) return 'nothing is parked'
  const table = renderTable(
    ['id', 'event', 'key', 'failures', 'parked', 'why'],
    items.map((one) => [
      one.id,
      one.event,
      one.key ?? '',
      String(one.failures),
      new Date(one.parkedAt).toISOString(),
      one.error,
    ]),
    style,
  )
  return next === undefined ? table : `${table}\n${style.dim(`more: --cursor ${next}`)}`
}

interface Settled {
  readonly id: string
  readonly action: 'retried' | 'discarded'
}

/** Lets the relay try a parked message again. */
export const outboxRetry: Command<CommandTable['outbox retry'], Settled> = {
  run: ({ id, outbox }, context) => settle(context, { id, outbox, action: 'retried' }),
}

/** Deletes a parked message. */
export const outboxDiscard: Command<CommandTable['outbox discard'], Settled> = {
  run: ({ id, outbox }, context) => settle(context, { id, outbox, action: 'discarded' }),
}

async function settle(
  context: CommandContext,
  { id, outbox, action }: Settled & { readonly outbox: string | undefined },
) {
  const isDone = await withOutbox(outbox, context, (database) =>
    action === 'retried' ? database.retry(id) : database.discard(id),
  )
  if (!isDone) {
    throw new TreatyError('OUTBOX_ROW_NOT_FOUND', `nothing is parked under the id ${id}`, {
      hint: 'Run treaty outbox parked for the ids that are.',
      details: { id },
    })
  }
  const data: Settled = { id, action }
  return {
    data,
    toText: ({ green, symbols }: Style) => `${green(`${symbols.ok} ${action}`)}  ${id}`,
  }
}
