import type { DeadLetter } from '../../messaging/index.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { findDeadLetter } from '../dead-letter.ts'
import { eventText } from '../event-text.ts'
import { renderFindings } from '../finding-text.ts'
import { withBus } from '../project.ts'
import type { Style } from '../style.ts'

type Data = ReturnType<typeof import('../../server/index.ts').deadDetail>

/** Shows one dead letter. */
export const deadShow: Command<CommandTable['dead show'], Data> = {
  async run({ id, consumer }, context) {
    const { deadDetail } = await import('../../server/index.ts')
    const data = await withBus(context, async (bus) => {
      const letter = await findDeadLetter(bus, id, consumer)
      return deadDetail(letter, await receivedOf(letter, context))
    })
    return { data, toText: (style) => detailText(data, style) }
  },
}

/** What a provider sent, where the message was made of it. */
async function receivedOf({ headers }: DeadLetter, context: CommandContext) {
  if (headers['treaty-webhook-received'] === undefined) return undefined
  const [{ openStore }, { storeUrlFor }, { receivedBytes }] = await Promise.all([
    import('../../store/index.ts'),
    import('../../messaging/index.ts'),
    import('../../webhooks/index.ts'),
  ])
  const settings = await context.settings()
  const url = context.reveal(settings.store ?? storeUrlFor(context.reveal(settings.transport)))
  const store = await openStore(url, { clock: context.clock })
  try {
    return await receivedBytes(store, headers)
  } finally {
    await store.close()
  }
}

function bytesText({ encoding, content }: Data['body']): string {
  return encoding === 'utf8' ? prettyJson(content) : `${content}  (base64)`
}

function detailText(letter: Data, style: Style): string {
  const facts: readonly (readonly [string, string | null])[] = [
    ['message', letter.messageId],
    ['event', eventText(letter.event)],
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
  const { body, received } = letter
  return [
    `${style.bold(letter.id)}`,
    rows.join('\n'),
    renderFindings(letter.findings, style),
    bytesText(body),
    // To the last space: whoever compares signatures needs the bytes as they came.
    ...(received
      ? [`as received from ${received.source}, ${received.at}:\n${received.body.content}`]
      : []),
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
