import { TreatyError } from '../../core/errors.ts'
import type { CallQueue, Drained, QueuedCall } from '../../http/index.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { openConfigured } from '../connectors.ts'
import { exitCode } from '../exit-code.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'

interface Data {
  readonly waiting: readonly QueuedCall[]
  readonly putAside: readonly QueuedCall[]
  /** What `--send` came to; null where nothing was to be sent, or another process is at it. */
  readonly drained: Drained | null
}

/** Shows, sends, replays or discards the calls that a connector has kept for later. */
export const connectorQueue: Command<CommandTable['connector queue'], Data> = {
  async run({ connector: name, send, replay, discard }, context) {
    const opened = await openConfigured(name, context)
    try {
      const { queue } = opened
      if (queue === undefined) {
        throw new TreatyError('USAGE', `the connector ${name} keeps no calls for later`, {
          hint: 'Set fallback: { queue: store } in its resilience.',
        })
      }
      if (replay !== undefined && !(await queue.replay(replay))) throw notThere(replay)
      if (discard !== undefined && !(await queue.discard(discard))) throw notThere(discard)
      const drained = send ? ((await queue.drain({ isForced: true })) ?? null) : null
      const data: Data = { ...(await listsOf(queue)), drained }
      return {
        exitCode: send && data.waiting.length > 0 ? exitCode.unavailable : exitCode.ok,
        data,
        toText: (style) => textOf(data, style),
      }
    } finally {
      await opened.close()
    }
  },
}

async function listsOf(queue: CallQueue): Promise<Omit<Data, 'drained'>> {
  return { waiting: await queue.waiting(), putAside: await queue.putAside() }
}

function notThere(id: string): TreatyError {
  return new TreatyError('CALL_NOT_FOUND', `no call ${id} was put aside`, {
    hint: 'List them with treaty connector queue NAME.',
    details: { id },
  })
}

function textOf({ waiting, putAside, drained }: Data, style: Style): string {
  const lines = drained
    ? [`${drained.sent} sent, ${drained.putAside} put aside, ${drained.waiting} waiting`]
    : []
  const rows = [
    ...waiting.map((call) => rowOf(call, 'waiting')),
    ...putAside.map((call) => rowOf(call, 'put aside')),
  ]
  if (rows.length === 0) return [...lines, 'no call waits'].join('\n')
  const heads = ['id', 'call', 'state', 'since', 'attempts', 'reason']
  return [...lines, renderTable(heads, rows, style)].join('\n')
}

function rowOf(call: QueuedCall, state: string): string[] {
  const since = new Date(call.queuedAt).toISOString()
  return [call.id, `${call.method} ${call.path}`, state, since, String(call.attempts), call.reason]
}
