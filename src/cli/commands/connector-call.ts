import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { isTreatyError, TreatyError } from '../../core/errors.ts'
import type { ClientOptions, Connector, OperationCall } from '../../http/index.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import type { ParameterValues } from '../connector-arguments.ts'
import { parameterValues } from '../connector-arguments.ts'
import { openConfigured } from '../connectors.ts'
import { readAll } from '../read-input.ts'

/** With `--all`: the items of all pages. */
interface AllData {
  readonly items: readonly unknown[]
}

interface Data {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly attempts: number
  /** Why another answered in its place, and who; absent where the neighbour itself did. */
  readonly degraded?: { readonly by: string; readonly code: string }
}

/** Notes the exchange in a file, or answers from one. @throws USAGE */
async function tapeOf(
  { record, replay }: { readonly record?: string; readonly replay?: string },
  context: CommandContext,
): Promise<ClientOptions['transport']> {
  if (record !== undefined && replay !== undefined) {
    throw new TreatyError('USAGE', '--record and --replay are given together', {
      hint: 'Record first, then replay.',
    })
  }
  const { recordTransport, replayTransport } = await import('../../http/index.ts')
  if (replay !== undefined) {
    const file = resolve(context.cwd, replay)
    if (existsSync(file)) return replayTransport({ file })
    throw new TreatyError('FILE_NOT_FOUND', `there is no recording ${replay}`, {
      hint: 'Make it with --record FILE.',
    })
  }
  if (record === undefined) return undefined
  const file = resolve(context.cwd, record)
  return (network) => recordTransport(network, { file })
}

async function bodyOf(data: string | undefined, context: CommandContext): Promise<unknown> {
  if (data === undefined) return undefined
  const isFile = data === '-' || data.startsWith('@')
  const bytes = isFile ? await readAll(data.replace(/^@/, ''), context) : Buffer.from(data)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new TreatyError('USAGE', '--data is no JSON', { hint: 'Give JSON, @FILE or -.' })
  }
}

function codeOf(cause: unknown): string {
  return isTreatyError(cause) ? cause.code : 'UNFORESEEN'
}

async function allOf(connector: Connector, operation: string, call: OperationCall) {
  const items: unknown[] = []
  for await (const item of connector.paginate(operation, call)) items.push(item)
  return {
    data: { items },
    toText: () => items.map((item) => JSON.stringify(item)).join('\n'),
  }
}

/** Calls one operation of a connector. */
export const connectorCall: Command<CommandTable['connector call'], Data | AllData> = {
  async run({ connector: name, operation, param, data, idempotencyKey, all, ...tape }, context) {
    const opened = await openConfigured(name, context, {
      transport: await tapeOf(tape, context),
    })
    const { connector } = opened
    try {
      const params: ParameterValues = parameterValues(param ?? [], connector.contract, operation)
      const body = await bodyOf(data, context)
      const call: OperationCall = {
        params,
        signal: context.stopping,
        ...(body === undefined ? {} : { body }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      }
      if (all) return await allOf(connector, operation, call)
      const {
        status,
        headers,
        body: answer,
        attempts,
        degraded,
      } = await connector.call(operation, call)
      const standIn = degraded && { by: degraded.by, code: codeOf(degraded.cause) }
      return {
        data: { status, headers, body: answer, attempts, ...(standIn && { degraded: standIn }) },
        toText(style) {
          const facts = `${status}, ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`
          const note = standIn ? style.yellow(`, ${standIn.by} because of ${standIn.code}`) : ''
          const body = typeof answer === 'string' ? answer : JSON.stringify(answer, undefined, 2)
          return `${style.dim(facts)}${note}\n${body}`
        },
      }
    } finally {
      await opened.close()
    }
  },
}
