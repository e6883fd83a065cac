import { TreatyError } from '../core/errors.ts'
import type { OpenApiContract } from '../http/index.ts'

export type ParameterValues = Record<string, string | number | boolean | readonly string[]>

/**
 * `NAME=VALUE` arguments as the values that the operation's schemas ask for; the same name twice makes a list.
 *
 * @throws USAGE for one without an equals sign
 */
export function parameterValues(
  given: readonly string[],
  contract: OpenApiContract,
  operation: string,
): ParameterValues {
  const values: ParameterValues = {}
  const parameters = contract.operations.get(operation)?.parameters ?? []
  for (const text of given) {
    const at = text.indexOf('=')
    if (at < 1) {
      throw new TreatyError('USAGE', `--param ${text} has no equals sign`, {
        hint: 'Write it as --param NAME=VALUE.',
      })
    }
    const name = text.slice(0, at)
    const value = text.slice(at + 1)
    const schema = parameters.find((each) => each.name === name)?.schema
    const type = typeof schema === 'object' ? schema.type : undefined
    const before = values[name]
    if (before !== undefined || type === 'array') {
      values[name] = [
        ...(Array.isArray(before) ? before : before === undefined ? [] : [String(before)]),
        value,
      ]
    } else values[name] = typed(value, type)
  }
  return values
}

function typed(value: string, type: unknown): string | number | boolean {
  const isNumber = (type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(value)
  if (isNumber) return Number(value)
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return value
}
