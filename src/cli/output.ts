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
  const { out, err, masker, quiet, stream } = options
  const styleOf = (target: OutputStream) =>
    createStyle({
      isTerminal: target.isTTY === true,
      columns: target.columns,
      noColor: !options.color,
      environment: options.environment,
    })
  const style = styleOf(out)
  const errStyle = styleOf(err)
  // A stream that nobody watches is read by a program.
  const asLines =
    stream !== undefined && (options.json || (stream === 'lines' && out.isTTY !== true))
  const print = (text: string) =>
    text === '' ? Promise.resolve() : write(out, `${masker.mask(text)}\n`)
  const printError = (text: string) => writeQuietly(err, `${masker.mask(text)}\n`)
  const printJson = (value: unknown) => print(JSON.stringify(value))

  return {
    style,
    emit(record, toText) {
      if (!asLines) return toText ? print(toText(style)) : Promise.resolve()
      const text = JSON.stringify(record)
      // What others sent is handed on as it is: masking would change their data.
      return write(out, `${record.kind === 'message' ? text : masker.mask(text)}\n`)
    },
    note(text) {
      if (!quiet) void printError(text)
    },
    async finish(result, elapsedMs) {
      const code = result.exitCode ?? exitCode.ok
      const findings = result.findings ?? []
      const error = result.error === undefined ? null : errorBody(result.error)
      if (asLines) {
        const rest = findings.length > 0 || error !== null ? { findings, error } : {}
        await printJson({
          kind: 'summary',
          ok: code === 0,
          exitCode: code,
          ...asObject(result.data),
          ...rest,
          elapsedMs,
        })
        if (options.json) return code
      } else if (options.json) {
        await printJson({
          treaty: 1,
          command: options.command,
          ok: code === 0,
          exitCode: code,
          data: result.data,
          findings,
          error,
          elapsedMs,
        })
        return code
      }
      await finishText(result)
      return code
    },
    async fail(thrown, elapsedMs) {
      const error = asTreatyError(thrown)
      const code = catalogEntry(error.code).exitCode
      const crash =
        error.code === 'UNFORESEEN' ? options.saveCrash?.(masker.mask(traceOf(thrown))) : undefined
      const body = errorBody(error, crash)
      if (options.json || asLines) {
        const line = asLines
          ? {
              kind: 'summary',
              ok: false,
              exitCode: code,
              findings: error.findings,
              error: body,
              elapsedMs,
            }
          : {
              treaty: 1,
              command: options.command,
              ok: false,
              exitCode: code,
              data: null,
              findings: error.findings,
              error: body,
              elapsedMs,
            }
        await printJson(line).catch(() => undefined) // The reader has gone; the exit code still says it.
      }
      if (!options.json) await printError(errorText(error, crash))
      if (options.verbose) await printError(traceOf(thrown))
      return code
    },
  }

  async function finishText(result: CommandResult): Promise<void> {
    // The lines of a stream are its data; findings and summary are for people.
    const [target, look] = stream === undefined ? [print, style] : [printError, errStyle]
    const text = result.toText?.(look) ?? ''
    const findings = renderFindings(result.findings ?? [], look)
    const blocks = [findings, stream !== undefined && quiet ? '' : text].filter(
      (block) => block !== '',
    )
    if (blocks.length > 0) await target(blocks.join('\n\n'))
    if (result.error) await printError(errorText(result.error))
  }

  function errorText(error: TreatyError, crash?: string): string {
    const head = `${errStyle.red(errStyle.bold(`error[${error.code}]`))}: ${errStyle.bold(error.message)}`
    const hint = crash === undefined ? error.hint : `Report it, with the file ${crash}.`
    const lines = hint === undefined ? [head] : [head, `  ${errStyle.green('hint:')} ${hint}`]
    const findings = renderFindings(error.findings, errStyle)
    return findings === '' ? lines.join('\n') : `${findings}\n\n${lines.join('\n')}`
  }
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
export function asTreatyError(thrown: unknown): TreatyError {
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
  return typeof data === 'object' && data !== null ? { ...data } : { data }
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
