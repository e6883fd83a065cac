import { Command, CommanderError, Option } from 'commander'
import { parseDuration } from '../core/duration.ts'
import { TreatyError } from '../core/errors.ts'
import type { CommandSpec, GlobalFlags, OptionSpec } from './command.ts'
import { flagOf, globalOptions } from './command-table.ts'

/** The arguments of one command, checked against its spec. */
export interface ParsedArguments {
  readonly args: Readonly<Record<string, unknown>>
  readonly flags: GlobalFlags & { readonly cwd?: string; readonly color: boolean }
}

/**
 * Parses what follows the name of a command. This is the only place that knows the parsing library.
 *
 * @throws USAGE
 */
export function parseArguments(
  name: string,
  spec: CommandSpec,
  argv: readonly string[],
): ParsedArguments {
  const program = new Command(name)
    .exitOverride()
    .configureOutput({ writeOut: ignore, writeErr: ignore, outputError: ignore })
    .helpOption(false)
    .allowExcessArguments(false)
  for (const [positional, { optional }] of Object.entries(spec.positionals ?? {})) {
    program.argument(optional === true ? `[${positional}]` : `<${positional}>`)
  }
  const options: Readonly<Record<string, OptionSpec>> = { ...globalOptions, ...spec.options }
  for (const [option, optionSpec] of Object.entries(options)) {
    program.addOption(commanderOption(option, optionSpec))
  }
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    throw usageError(error, name)
  }
  const values = program.opts<Record<string, unknown>>()
  const args: Record<string, unknown> = {}
  for (const [at, positional] of Object.keys(spec.positionals ?? {}).entries()) {
    args[positional] = program.processedArgs[at]
  }
  for (const option of Object.keys(spec.options ?? {})) {
    if (values[option] !== undefined) args[option] = values[option]
  }
  return { args, flags: globalFlags(values) }
}

function ignore(): void {
  // The library would print; what it has to say comes as an exception too.
}

function globalFlags(values: Readonly<Record<string, unknown>>): ParsedArguments['flags'] {
  const text = (name: string) => (typeof values[name] === 'string' ? { [name]: values[name] } : {})
  return {
    json: values.json === true,
    quiet: values.quiet === true,
    verbose: values.verbose === true,
    input: values.input !== false,
    color: values.color !== false,
    ...text('config'),
    ...text('cwd'),
    ...(typeof values.timeout === 'number' ? { timeoutMs: values.timeout } : {}),
  }
}

function commanderOption(name: string, spec: OptionSpec): Option {
  const flag = flagOf(name)
  const option = new Option(spec.kind === 'flag' ? flag : `${flag} <value>`)
  if (spec.kind === 'flag') return option
  return option.argParser((text: string, previous: unknown) =>
    readValue(flag, spec, text, previous),
  )
}

function readValue(flag: string, spec: OptionSpec, text: string, previous: unknown): unknown {
  if (spec.choices && !spec.choices.includes(text)) {
    throw usage(`${flag} is '${text}', expected ${spec.choices.join(', ')}`)
  }
  if (spec.kind === 'integer') return readInteger(flag, spec, text)
  if (spec.kind === 'duration') return readDuration(flag, text)
  if (spec.kind !== 'list') return text
  const items = text.split(',').map((item) => item.trim())
  return [...(Array.isArray(previous) ? previous : []), ...items.filter((item) => item !== '')]
}

function readInteger(flag: string, spec: OptionSpec, text: string): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = spec
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const range = spec.max === undefined ? `from ${min}` : `from ${min} to ${max}`
  throw usage(`${flag} is '${text}', expected a whole number ${range}`)
}

/** Milliseconds; a bare number is milliseconds too. */
function readDuration(flag: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : parseDuration(text)
  if (value !== undefined && Number.isFinite(value)) return value
  throw usage(`${flag} is '${text}', expected a duration`, 'Write 200ms, 5s, 2m, or milliseconds.')
}

function usage(message: string, hint?: string): TreatyError {
  return new TreatyError('USAGE', message, hint === undefined ? {} : { hint })
}

function usageError(error: unknown, name: string): unknown {
  if (!(error instanceof CommanderError)) return error
  const [first = '', ...rest] = error.message.split('\n')
  const suggestion = /\((Did you mean .*)\)/.exec(rest.join('\n'))?.[1]
  return new TreatyError('USAGE', first.replace(/^error: /, ''), {
    hint: suggestion ?? `Run treaty ${name} --help.`,
    cause: error,
  })
}
