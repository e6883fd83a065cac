import { TreatyError } from '../../core/errors.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import type { ParameterValues } from '../connector-arguments.ts'
import { parameterValues } from '../connector-arguments.ts'
import { openConfigured } from '../connectors.ts'
import { readAll } from '../read-input.ts'

interface Data {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly attempts: number
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

/** Calls one operation of a connector. */
export const connectorCall: Command<CommandTable['connector call'], Data> = {
  async run({ connector: name, operation, param, data, idempotencyKey }, context) {
    const connector = await openConfigured(name, context)
    try {
      const params: ParameterValues = parameterValues(param ?? [], connector.contract, operation)
      const body = await bodyOf(data, context)
      const {
        status,
        headers,
        body: answer,
        attempts,
      } = await connector.call(operation, {
        params,
        signal: context.stopping,
        ...(body === undefined ? {} : { body }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      })
      return {
        data: { status, headers, body: answer, attempts },
        toText: (style) =>
          `${style.dim(`${status}, ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`)}\n${
            typeof answer === 'string' ? answer : JSON.stringify(answer, undefined, 2)
          }`,
      }
    } finally {
      await connector.close()
    }
  },
}
