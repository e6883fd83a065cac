import { TreatyError } from '../core/errors.ts'
import type { OutboxDatabase } from '../messaging/index.ts'
import type { CommandContext } from './command.ts'
import { absoluteUrl } from './config/absolute-url.ts'

/**
 * The URL of the outbox that a command means: what `--outbox` says, else the configuration, else the transport where it is a database.
 *
 * @throws USAGE
 */
export async function outboxUrl(
  outbox: string | undefined,
  context: CommandContext,
): Promise<string> {
  const settings = await context.settings()
  const { isPostgresUrl } = await import('../store/index.ts')
  const named = outbox === undefined ? settings.outbox?.url : absoluteUrl(outbox, context.cwd)
  const url = context.reveal(named ?? settings.transport)
  if (named !== undefined || isPostgresUrl(url)) return url
  throw new TreatyError('USAGE', 'it is not said where the outbox is', {
    hint: 'Give --outbox, or outbox.url in the configuration: postgres://… or sqlite:FILE.',
  })
}

/** Opens the outbox of a command, whose tables must be there where it only looks, and closes it afterwards. */
export async function withOutbox<Result>(
  outbox: string | undefined,
  context: CommandContext,
  work: (database: OutboxDatabase) => Promise<Result>,
): Promise<Result> {
  const url = await outboxUrl(outbox, context)
  const [{ openOutbox }, { systemRandom }] = await Promise.all([
    import('../messaging/index.ts'),
    import('../core/random.ts'),
  ])
  const database = await openOutbox(url, {
    clock: context.clock,
    random: systemRandom,
    tables: 'verify',
  })
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}
