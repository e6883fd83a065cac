import { delay } from '../../core/clock.ts'
import { systemRandom } from '../../core/random.ts'
import type { OutboxDatabase } from '../../messaging/index.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { outboxUrl } from '../outbox-place.ts'
import { createProblems } from '../problems.ts'
import { withBus } from '../project.ts'
import { aborted } from '../stopping.ts'

interface Data {
  readonly sent: number
  /** Messages parked while this relay ran. */
  readonly parked: number
}

const idleLookMs = 100

/** Sends what an outbox holds, until stopped. */
export const outboxRelay: Command<CommandTable['outbox relay'], Data> = {
  async run({ outbox, failures, block, idleExit }, context) {
    const [url, settings] = [await outboxUrl(outbox, context), await context.settings()]
    const failuresMax = failures ?? settings.outbox?.failuresMax
    const data = { sent: 0, parked: 0 }
    const result = () => ({ data, toText: () => `${data.sent} sent, ${data.parked} parked` })
    const { openOutbox, startRelay } = await import('../../messaging/index.ts')
    const note = createProblems(context.clock, (line) => context.note(`problem ${line}`))
    const work = async (transport: Parameters<typeof startRelay>[0]['transport']) => {
      const { clock } = context
      const onParked = block === true ? 'block' : (settings.outbox?.onParked ?? 'next')
      const given = { clock, random: systemRandom, onParked, tables: 'create' } as const
      const database = await openOutbox(url, given)
      const relay = startRelay({
        database,
        transport,
        clock,
        random: systemRandom,
        onParked,
        ...(failuresMax === undefined ? {} : { failuresMax }),
        onError(error) {
          if (error.code === 'OUTBOX_PARKED') data.parked += 1
          note(error)
        },
        onSent(count) {
          data.sent += count
        },
      })
      try {
        await context.emit({ kind: 'ready', database: database.name }, ({ dim }) =>
          dim(`relaying ${database.name}; Ctrl-C ends`),
        )
        await Promise.race([aborted(context.stopping), untilIdle(database, idleExit, context)])
      } finally {
        await relay.stop()
        await database.close()
      }
      return result()
    }
    return withBus(context, (bus) => work(bus.transport), result)
  },
}

/** Resolves when nothing has waited for so long; never without a limit. */
async function untilIdle(
  database: OutboxDatabase,
  idleMs: number | undefined,
  { clock, stopping }: CommandContext,
): Promise<void> {
  if (idleMs === undefined) return aborted(stopping)
  let idleSince = clock.monotonic()
  while (!stopping.aborted && clock.monotonic() - idleSince < idleMs) {
    if ((await database.status()).backlog > 0) idleSince = clock.monotonic()
    await delay(clock, Math.min(idleMs, idleLookMs), stopping).catch(() => undefined)
  }
}
