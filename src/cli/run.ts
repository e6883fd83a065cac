import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { delay } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Command, CommandContext, CommandResult, CommandSpec } from './command.ts'
import { type CommandName, flagOf, specOf } from './command-table.ts'
import { exitCode } from './exit-code.ts'
import type { Host, StopSignals } from './host.ts'
import { type Invocation, readInvocation } from './invocation.ts'
import { createMasker, type Masker } from './masking.ts'
import { createOutput, type Output } from './output.ts'
import type { ParsedArguments } from './program.ts'
import { stopCode } from './stopping.ts'

/** Runs one command line; the exit code. Never throws and never exits: the caller does. */
export async function run(host: Host): Promise<number> {
  const masker = createMasker()
  const output = outputFor(host, masker, { command: null, json: host.argv.includes('--json') })
  try {
    const invocation = readInvocation(host.argv)
    if (invocation.kind === 'command') return await runCommand(host, masker, invocation)
    return await answer(host, output, invocation)
  } catch (error) {
    return output.fail(error, 0)
  }
}

async function answer(
  host: Host,
  output: Output,
  invocation: Exclude<Invocation, { kind: 'command' }>,
): Promise<number> {
  const text =
    invocation.kind === 'version'
      ? host.version()
      : (await import('./help.ts')).renderHelp(invocation.topic, output.style)
  await new Promise<void>((done) => {
    host.out.write(`${text}\n`, () => done())
  })
  return exitCode.ok
}

interface OutputChoice {
  readonly command: string | null
  readonly json: boolean
  readonly stream?: CommandSpec['stream']
  readonly parsed?: ParsedArguments
}

function outputFor(host: Host, masker: Masker, choice: OutputChoice): Output {
  const flags = choice.parsed?.flags
  const { crashFolder } = host
  return createOutput({
    out: host.out,
    err: host.err,
    environment: host.environment,
    masker,
    command: choice.command,
    json: choice.json,
    stream: choice.stream,
    color: flags?.color ?? !host.argv.includes('--no-color'),
    quiet: flags?.quiet ?? false,
    verbose: flags?.verbose ?? host.argv.includes('--verbose'),
    saveCrash:
      crashFolder === undefined ? undefined : (trace) => saveCrash(crashFolder, host, trace),
  })
}

function saveCrash(folder: string, host: Host, trace: string): string | undefined {
  const file = join(folder, `treaty-crash-${host.clock.now()}.txt`)
  try {
    const facts = `treaty ${host.version()}, node ${process.version}, ${process.platform} ${process.arch}`
    writeFileSync(file, `${facts}\n\n${trace}\n`, { mode: 0o600, flag: 'wx' })
    return file
  } catch {
    return undefined // A disk that is full must not hide the error itself.
  }
}

async function runCommand(
  host: Host,
  masker: Masker,
  { name, rest }: { readonly name: CommandName; readonly rest: readonly string[] },
): Promise<number> {
  const startedAt = host.clock.monotonic()
  const elapsedMs = () => Math.round(host.clock.monotonic() - startedAt)
  const spec = specOf(name)
  const stream = streamOf(spec, rest)
  const choice: OutputChoice = { command: name, json: host.argv.includes('--json'), stream }
  let output = outputFor(host, masker, choice)
  try {
    const { parseArguments } = await import('./program.ts')
    const parsed = parseArguments(name, spec, rest)
    const json = parsed.flags.json || parsed.args.format === 'json'
    output = outputFor(host, masker, { ...choice, json, parsed })
    const signals = stream === undefined ? quietSignals() : host.listenForSignals()
    const { loaders } = await import('./loaders.ts')
    const command = (await loaders[name]()) as Command
    const result = await withTimeout(host, stream, parsed, signals, async (stopping) => {
      const context = createContext(host, parsed, { masker, output, stopping, signals })
      return command.run(parsed.args as never, context)
    })
    const code = await output.finish(result, elapsedMs())
    return signals.aborting.aborted ? stopCode(signals.aborting) : code
  } catch (error) {
    return output.fail(error, elapsedMs())
  }
}

/** How this command line streams: a command may do so only with one of its options. */
function streamOf(spec: CommandSpec, argv: readonly string[]): CommandSpec['stream'] {
  if (spec.streamsWith === undefined) return spec.stream
  const flag = flagOf(spec.streamsWith)
  const isGiven = argv.some((word) => word === flag || word.startsWith(`${flag}=`))
  return isGiven ? spec.stream : undefined
}

function quietSignals(): StopSignals {
  const never = new AbortController().signal
  return { stopping: never, aborting: never }
}

/** Gives up after `--timeout`: a stream is asked to stop, anything else is left. */
async function withTimeout(
  host: Host,
  stream: CommandSpec['stream'],
  { flags: { timeoutMs } }: ParsedArguments,
  { stopping }: StopSignals,
  work: (stopping: AbortSignal) => Promise<CommandResult>,
): Promise<CommandResult> {
  if (timeoutMs === undefined) return work(stopping)
  const ended = new AbortController()
  const late = new AbortController()
  const timer = delay(host.clock, timeoutMs, ended.signal).then(
    () => late.abort('timeout'),
    () => undefined, // It ended in time.
  )
  const error = new TreatyError('TIMED_OUT', `the command did not end within ${timeoutMs} ms`, {
    hint: 'Give it more time with --timeout.',
  })
  try {
    if (stream === undefined) {
      const lost = timer.then((): Promise<CommandResult> => Promise.reject(error))
      return await Promise.race([work(stopping), lost])
    }
    const result = await work(AbortSignal.any([stopping, late.signal]))
    return late.signal.aborted ? { ...result, exitCode: exitCode.unavailable, error } : result
  } finally {
    ended.abort()
  }
}

interface ContextParts {
  readonly masker: Masker
  readonly output: Output
  readonly stopping: AbortSignal
  readonly signals: StopSignals
}

function createContext(
  host: Host,
  { args, flags }: ParsedArguments,
  parts: ContextParts,
): CommandContext {
  const cwd = resolve(host.cwd, flags.cwd ?? '.')
  const { masker, output } = parts
  let settings: ReturnType<CommandContext['settings']> | undefined
  return {
    cwd,
    environment: host.environment,
    input: host.input,
    flags,
    clock: host.clock,
    interactive: host.input.isTTY === true && host.out.isTTY === true && flags.input && !flags.json,
    stopping: parts.stopping,
    aborting: parts.signals.aborting,
    settings() {
      settings ??= import('./config/load.ts').then(({ loadSettings }) =>
        loadSettings({
          cwd,
          environment: host.environment,
          configFile: flags.config,
          args,
          masker,
        }),
      )
      return settings
    },
    reveal(text) {
      return masker.reveal(text, host.environment)
    },
    conceal: (secret) => masker.add(secret),
    emit: (record, toText) => output.emit(record, toText),
    note: (text) => output.note(text),
  }
}
