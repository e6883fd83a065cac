import { catalogEntry, isTreatyError, TreatyError } from '../core/errors.ts'
import type { CommandResult, StreamRecord } from './command.ts'
import { exitCode } from './exit-code.ts'
import { renderFindings } from './finding-text.ts'
import type { Masker } from './masking.ts'
import { createStyle, type Style } from './style.ts'

/** The part of a writable stream that output needs. */
export interface OutputStream {
  write(text: string, done: (error?: Error | null) => void): boolean
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface OutputOptions {
  readonly out: OutputStream
  readonly err: OutputStream
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly masker: Masker
  /** Name of the command, as the envelope says it. */
  readonly command: string | null
  readonly json: boolean
  /** Whether and how the command streams. */
  readonly stream?: 'lines' | 'live' | undefined
  readonly color: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  /** Writes the trace of an unforeseen error to a file; its path. */
  readonly saveCrash?: ((trace: string) => string | undefined) | undefined
}

/** Where everything that a command says goes out: text or JSON, which stream, which colours. */
export interface Output {
  readonly style: Style
  emit(record: StreamRecord, toText?: (style: Style) => string): Promise<void>
  note(text: string): void
  /** Prints the result; the exit code. */
  finish(result: CommandResult, elapsedMs: number): Promise<number>
  /** Prints what was thrown; the exit code. */
  fail(thrown: unknown, elapsedMs: number): Promise<number>
}

/** The only place that decides between text and JSON, and that prints. */
export function createOutput(options: OutputOptions): Output {
  return new Printer(options)
}

/** A class because everything here shares the two streams, their looks and the choice of form. */
class Printer implements Output {
  readonly style: Style
  readonly #options: OutputOptions
  readonly #errStyle: Style
  /** A stream that nobody watches is read by a program. */
  readonly #asLines: boolean

  constructor(options: OutputOptions) {
    const { out, err, json, stream } = options
    this.#options = options
    this.style = styleOf(out, options)
    this.#errStyle = styleOf(err, options)
    this.#asLines = stream !== undefined && (json || (stream === 'lines' && out.isTTY !== true))
  }

  emit(record: StreamRecord, toText?: (style: Style) => string): Promise<void> {
    if (!this.#asLines) return toText ? this.#print(toText(this.style)) : Promise.resolve()
    const text = JSON.stringify(record)
    const { masker, out } = this.#options
    // What others sent is handed on as it is: masking would change their data.
    return write(out, `${record.kind === 'message' ? text : masker.mask(text)}\n`)
  }

  note(text: string): void {
    if (!this.#options.quiet) void this.#printError(text)
  }

  async finish(result: CommandResult, elapsedMs: number): Promise<number> {
    const { json } = this.#options
    const code = result.exitCode ?? exitCode.ok
    if (json || this.#asLines) await this.#printEnding(code, elapsedMs, result)
    if (!json) await this.#printText(result)
    return code
  }

  async fail(thrown: unknown, elapsedMs: number): Promise<number> {
    const { json, masker, saveCrash, verbose } = this.#options
    const error = asTreatyError(thrown)
    const { code, findings } = error
    const isOurs = code === 'UNFORESEEN'
    const crash = isOurs ? saveCrash?.(masker.mask(traceOf(thrown))) : undefined
    const ending = catalogEntry(code).exitCode
    if (json || this.#asLines) {
      await this.#printEnding(ending, elapsedMs, { data: null, findings, error }, crash)
    }
    if (!json) await this.#printError(this.#errorText(error, crash))
    if (verbose) await this.#printError(traceOf(thrown))
    return ending
  }

  /** The envelope, or the last line of a stream. A reader that has gone is no failure: the exit code still says it. */
  async #printEnding(
    code: number,
    elapsedMs: number,
    { data, findings = [], error: thrown }: CommandResult,
    crash?: string,
  ): Promise<void> {
    const error = thrown === undefined ? null : errorBody(thrown, crash)
    const verdict = { ok: code === 0, exitCode: code }
    const problems = findings.length > 0 || error !== null ? { findings, error } : {}
    const { command } = this.#options
    const value = this.#asLines
      ? { kind: 'summary', ...verdict, ...asObject(data), ...problems, elapsedMs }
      : { treaty: 1, command, ...verdict, data, findings, error, elapsedMs }
    await this.#print(JSON.stringify(value)).catch(() => undefined)
  }

  async #printText(result: CommandResult): Promise<void> {
    const { quiet, stream } = this.#options
    // The lines of a stream are its data; findings and summary are for people.
    const isStream = stream !== undefined
    const style = isStream ? this.#errStyle : this.style
    const text = isStream && quiet ? '' : (result.toText?.(style) ?? '')
    const shown = result.showsFindings === true ? [] : (result.findings ?? [])
    const blocks = [renderFindings(shown, style), text].filter((one) => one !== '')
    const whole = blocks.join('\n\n')
    if (isStream) await this.#printError(whole)
    else await this.#print(whole).catch(() => undefined) // As above.
    if (result.error) await this.#printError(this.#errorText(result.error))
  }

  #errorText(error: TreatyError, crash?: string): string {
    const { red, bold, green } = this.#errStyle
    const head = `${red(bold(`error[${error.code}]`))}: ${bold(error.message)}`
    const hint = crash === undefined ? error.hint : `Report it, with the file ${crash}.`
    const lines = hint === undefined ? [head] : [head, `  ${green('hint:')} ${hint}`]
    const findings = renderFindings(error.findings, this.#errStyle)
    return findings === '' ? lines.join('\n') : `${findings}\n\n${lines.join('\n')}`
  }

  #print(text: string): Promise<void> {
    const { masker, out } = this.#options
    return text === '' ? Promise.resolve() : write(out, `${masker.mask(text)}\n`)
  }

  #printError(text: string): Promise<void> {
    const { masker, err } = this.#options
    return text === '' ? Promise.resolve() : writeQuietly(err, `${masker.mask(text)}\n`)
  }
}

function styleOf(target: OutputStream, { color, environment }: OutputOptions): Style {
  const { columns, isTTY } = target
  return createStyle({ isTerminal: isTTY === true, columns, noColor: !color, environment })
}

function errorBody(error: TreatyError, crash?: string) {
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: error.details,
    ...(crash === undefined ? {} : { crashFile: crash }),
  }
}

/** Whatever was thrown, with a code. */
function asTreatyError(thrown: unknown): TreatyError {
  if (isTreatyError(thrown)) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const first = (message.split('\n')[0] ?? '').slice(0, 300)
  return new TreatyError('UNFORESEEN', `something unforeseen happened: ${first}`, {
    hint: 'Run again with --verbose.',
    cause: thrown,
  })
}

function traceOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${traceOf(thrown.cause)}`
  return `${thrown.stack ?? thrown.message}${cause}`
}

function asObject(data: unknown): Readonly<Record<string, unknown>> {
  return typeof data === 'object' ? { ...data } : { data }
}

/** Resolves once the text is really out: in a full pipe it waits, and the event loop does not. */
function write(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error) resolve()
      else
        reject(
          new TreatyError('OUTPUT_CLOSED', 'the reader of standard output has gone', {
            cause: error,
          }),
        )
    })
  })
}

/** Notes and errors that nobody can read any more are no reason to stop. */
function writeQuietly(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => resolve())
  })
}
