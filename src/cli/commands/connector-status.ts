import { isTreatyError } from '../../core/errors.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { configuredConnectors, openConfigured } from '../connectors.ts'
import { exitCode } from '../exit-code.ts'
import { renderTable } from '../table.ts'

interface Status {
  readonly name: string
  readonly reachable: boolean
  /** HTTP status of the base URL; any shows that somebody answers. */
  readonly status: number | null
  readonly ms: number | null
  readonly problem: string | null
}

/** Asks each connector's base URL once, with its credential. */
export const connectorStatus: Command<
  CommandTable['connector status'],
  { readonly connectors: readonly Status[] }
> = {
  async run({ connector }, context) {
    const all = (await configuredConnectors(context)).map(([name]) => name)
    const names = connector === undefined ? all : [connector]
    const connectors = await Promise.all(names.map((name) => statusOf(name, context)))
    const isFine = connectors.every(({ reachable }) => reachable)
    return {
      exitCode: isFine ? exitCode.ok : exitCode.unavailable,
      data: { connectors },
      toText(style) {
        if (connectors.length === 0) return 'the configuration has no connectors'
        const rows = connectors.map((each) => [
          each.name,
          each.reachable ? style.green('reachable') : style.red('unreachable'),
          each.status === null ? '' : String(each.status),
          each.ms === null ? '' : `${each.ms} ms`,
          each.problem ?? '',
        ])
        return renderTable(['connector', 'state', 'status', 'time', 'problem'], rows, style)
      },
    }
  },
}

async function statusOf(name: string, context: CommandContext): Promise<Status> {
  const opened = await openConfigured(name, context)
  const begunAt = context.clock.monotonic()
  const ms = () => Math.round(context.clock.monotonic() - begunAt)
  try {
    const { status } = await opened.connector.client.request({
      method: 'HEAD',
      path: '',
      // What answers in its place says nothing about the neighbour.
      fallback: false,
      timeoutMs: 10_000,
      signal: context.stopping,
    })
    return { name, reachable: true, status, ms: ms(), problem: null }
  } catch (error) {
    if (!isTreatyError(error)) throw error
    const status = error.status ?? null
    const isRefused = status === 401 || status === 403
    return {
      name,
      reachable: status !== null && status < 500,
      status,
      ms: ms(),
      problem:
        status === null || status >= 500
          ? error.code
          : isRefused
            ? 'the credential is refused'
            : null,
    }
  } finally {
    await opened.close()
  }
}
