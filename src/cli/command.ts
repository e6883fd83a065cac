import type { Clock } from '../core/clock.ts'
import type { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import type { Settings } from './config/settings.ts'
import type { Style } from './style.ts'

/** One option of a command. The key in {@link CommandSpec.options} is its name in camel case. */
export interface OptionSpec {
  readonly kind: 'flag' | 'text' | 'list' | 'integer' | 'duration'
  /** Placeholder of the value in help texts; absent for flags. */
  readonly value?: string
  readonly summary: string
  readonly choices?: readonly string[]
  /** Bounds of integers, inclusive. */
  readonly min?: number
  readonly max?: number
}
export interface PositionalSpec {
  readonly summary: string
  readonly optional?: boolean
}

/** What is known of a command without loading it: help, parsing and docs/reference/cli.md come from here. */
export interface CommandSpec {
  readonly summary: string
  /** More, where the summary does not say everything; full sentences. */
  readonly description?: string
  readonly positionals?: Readonly<Record<string, PositionalSpec>>
  readonly options?: Readonly<Record<string, OptionSpec>>
  /** Command lines that work, each with what it does. */
  readonly examples: readonly (readonly [command: string, note: string])[]
  /**
   * `lines`: prints one JSON object a line where `--json` is given or nobody watches (standard output is no terminal).
   * `live`: runs until stopped and prints text as things happen.
   */
  readonly stream?: 'lines' | 'live'
  /** Name of the option without which it does not stream after all. */
  readonly streamsWith?: string
}

type ValueOf<O extends OptionSpec> = O['kind'] extends 'flag'
  ? boolean
  : O['kind'] extends 'integer' | 'duration'
    ? number
    : O['kind'] extends 'list'
      ? readonly string[]
      : string
type PositionalsOf<P> = {
  readonly [Name in keyof P]: P[Name] extends { readonly optional: true }
    ? string | undefined
    : string
}
type OptionsOf<O> = {
  readonly [Name in keyof O]?: O[Name] extends OptionSpec ? ValueOf<O[Name]> : never
}
/** The parsed arguments of a command: positionals by name, options by name; durations in milliseconds. */
export type ArgumentsOf<S extends CommandSpec> = PositionalsOf<
  S extends { readonly positionals: infer P } ? P : Record<never, never>
> &
  OptionsOf<S extends { readonly options: infer O } ? O : Record<never, never>>

/** Options that every command takes. */
export interface GlobalFlags {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly input: boolean
  readonly config?: string
  readonly timeoutMs?: number
}

/** One object of a stream; `kind` says what it is. */
export type StreamRecord = { readonly kind: string } & Readonly<Record<string, unknown>>

/** Everything a command may touch of the world. */
export interface CommandContext {
  /** Absolute; every relative path of an argument is meant from here. */
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly input: AsyncIterable<Uint8Array>
  readonly flags: GlobalFlags
  readonly clock: Clock
  /** True when a person can be asked: standard input is a terminal, and neither --no-input nor --json was given. */
  readonly interactive: boolean
  /** Aborts at the first Ctrl-C or SIGTERM: finish what has begun, then return. */
  readonly stopping: AbortSignal
  /** Aborts at the second: return at once. */
  readonly aborting: AbortSignal
  /** Merged configuration: flags > environment > file > defaults. @throws CONFIG_INVALID with every mistake */
  settings(): Promise<Settings>
  /** The text with its secret references resolved. What was revealed is masked wherever it would be printed. @throws SECRET_NOT_FOUND */
  reveal(text: string): string
  /** From now on this value is masked wherever it would be printed. */
  conceal(secret: string): void
  /**
   * Writes one object of a stream to standard output; resolves once it is really written out, and never blocks before.
   * `toText` is what a person sees instead; without it a person sees nothing.
   *
   * @throws OUTPUT_CLOSED when the reader has gone away
   */
  emit(record: StreamRecord, toText?: (style: Style) => string): Promise<void>
  /** A line for people on standard error; nothing with --quiet. */
  note(text: string): void
}

export interface CommandResult<Data = unknown> {
  /** Default 0. */
  readonly exitCode?: number
  readonly data: Data
  readonly findings?: readonly Finding[]
  /** What ended a stream early, where there is still a summary. */
  readonly error?: TreatyError
  /** The data as people read it; without a final line break. Absent: nothing is printed but findings. */
  readonly toText?: (style: Style) => string
  /** True where `toText` shows the findings in a form of its own. */
  readonly showsFindings?: boolean
}

/** A command: data in, data out. It never prints and never exits; `cli/output.ts` does. */
export interface Command<S extends CommandSpec = CommandSpec, Data = unknown> {
  run(args: ArgumentsOf<S>, context: CommandContext): Promise<CommandResult<Data>>
}
