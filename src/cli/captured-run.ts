import { systemClock } from '../core/clock.ts'
import type { Host } from './host.ts'
import type { OutputStream } from './output.ts'
import { run } from './run.ts'

export interface CapturedOptions {
  readonly cwd: string
  /** Standard input. */
  readonly input?: string | AsyncIterable<Uint8Array>
  readonly environment?: Readonly<Record<string, string>>
  /** Standard output is a terminal. */
  readonly isTerminal?: boolean
  /** What a signal would abort. */
  readonly stopping?: AbortSignal
  readonly crashFolder?: string
  /** Told each text that is written to standard output; a rejection is a reader that has gone. */
  readonly onWrite?: (text: string) => void | Promise<void>
}
export interface Captured {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs one command line in this process, with streams of its own: for tests of commands. */
export async function runCaptured(
  argv: readonly string[],
  options: CapturedOptions,
): Promise<Captured> {
  const out: string[] = []
  const err: string[] = []
  const host: Host = {
    argv,
    cwd: options.cwd,
    environment: options.environment ?? {},
    input: inputOf(options.input ?? ''),
    out: collector(out, options.isTerminal ?? false, options.onWrite),
    err: collector(err, options.isTerminal ?? false),
    clock: systemClock,
    version: () => '0.0.0-test',
    listenForSignals: () => ({
      stopping: options.stopping ?? new AbortController().signal,
      aborting: new AbortController().signal,
    }),
    ...(options.crashFolder === undefined ? {} : { crashFolder: options.crashFolder }),
  }
  const code = await run(host)
  return { code, out: out.join(''), err: err.join('') }
}

/** The objects of a stream of JSON lines. */
export function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

function collector(
  texts: string[],
  isTTY: boolean,
  onWrite?: CapturedOptions['onWrite'],
): OutputStream {
  return {
    isTTY,
    columns: 100,
    write(text, done) {
      const told = new Promise((resolve) => resolve(onWrite?.(text)))
      told.then(
        () => {
          texts.push(text)
          done()
        },
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      )
      return true
    },
  }
}

async function* inputOf(input: string | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof input !== 'string') yield* input
  else if (input !== '') yield Buffer.from(input)
}
