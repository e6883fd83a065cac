import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { findDeadLetter } from '../dead-letter.ts'
import { renderFindings } from '../finding-text.ts'
import { withBus } from '../project.ts'
import type { Style } from '../style.ts'

type Data = ReturnType<typeof import('../../server/index.ts').deadDetail>

/** Shows one dead letter. */
export const deadShow: Command<CommandTable['dead show'], Data> = {
  async run({ id, consumer }, context) {
    const { deadDetail } = await import('../../server/index.ts')
    const data = await withBus(context, async (bus) =>
      deadDetail(await findDeadLetter(bus, id, consumer)),
    )
    return { data, toText: (style) => detailText(data, style) }
  },
}

function detailText(letter: Data, style: Style): string {
  const facts: readonly (readonly [string, string | null])[] = [
    ['message', letter.messageId],
    ['event', letter.event],
    ['consumer', letter.consumer ?? 'none: refused at ingest'],
    ['reason', letter.message === null ? letter.reason : `${letter.reason}: ${letter.message}`],
    ['attempts', String(letter.attempts)],
    [
      'failed',
      letter.firstFailedAt === letter.failedAt
        ? letter.failedAt
        : `${letter.firstFailedAt}, last ${letter.failedAt}`,
    ],
    ['correlation', letter.correlationId],
    ['key', letter.key],
    ['address', letter.address],
  ]
  const rows = facts.flatMap(([name, value]) =>
    value === null ? [] : [`  ${style.dim(name.padEnd(11))}  ${value}`],
  )
  const { body } = letter
  const content = body.encoding === 'utf8' ? prettyJson(body.content) : `${body.content}  (base64)`
  return [
    `${style.bold(letter.id)}`,
    rows.join('\n'),
    renderFindings(letter.findings, style),
    content,
    style.dim(`next: treaty dead replay ${letter.id}, or treaty dead discard ${letter.id}`),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text // What died need not be JSON.
  }
}
