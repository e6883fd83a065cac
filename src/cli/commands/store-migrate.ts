import type { MigrationReport } from '../../store/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { absoluteUrl } from '../config/absolute-url.ts'
import type { Style } from '../style.ts'

interface Data {
  /** Without user, password and parameters. */
  readonly store: string
  readonly dryRun: boolean
  readonly components: readonly MigrationReport[]
}

/** Brings the tables of the store, and of a broker in a database, to the newest version, or shows what that would be. */
export const storeMigrate: Command<CommandTable['store migrate'], Data> = {
  async run({ dryRun = false, outbox }, context) {
    const settings = await context.settings()
    const [{ migrateStore, storeName }, { migrateOutbox, migrateTransport, storeUrlFor }] =
      await Promise.all([import('../../store/index.ts'), import('../../messaging/index.ts')])
    const url = context.reveal(settings.store ?? storeUrlFor(context.reveal(settings.transport)))
    const options = { clock: context.clock, dryRun }
    const named = outbox === undefined ? settings.outbox?.url : absoluteUrl(outbox, context.cwd)
    const components = [
      ...(await migrateStore(url, options)),
      ...(await migrateTransport(context.reveal(settings.transport), options)),
      ...(named === undefined ? [] : await migrateOutbox(context.reveal(named), options)),
    ]
    const data: Data = { store: storeName(url), dryRun, components }
    return { data, toText: (style) => migrationText(data, style) }
  },
}

function migrationText({ store, dryRun, components }: Data, style: Style): string {
  const lines = components.map(({ component, from, to }) => {
    if (from === to)
      return `${style.green(style.symbols.ok)} ${component}: version ${to}, nothing to do`
    const verb = dryRun ? 'would go' : 'went'
    return `${style.green(style.symbols.ok)} ${component}: ${verb} from version ${from} to ${to}`
  })
  return [store, ...lines].join('\n')
}
