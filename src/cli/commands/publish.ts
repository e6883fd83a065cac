import { isUtf8 } from 'node:buffer'
import { catalogEntry, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { limits } from '../../core/limits.ts'
import type { Bus, Published, PublishOptions } from '../../messaging/index.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { renderFindings } from '../finding-text.ts'
import { withBus } from '../project.ts'
import { Sender } from '../publish/sender.ts'
import { type InputLine, openInput, readAll, readLines } from '../read-input.ts'
import { stopCode } from '../stopping.ts'

interface Data {
  readonly published: number
  readonly refused: number
}
type Arguments = ArgumentsOf<CommandTable['publish']>

/** Publishes one message, or one for each line. */
export const publish: Command<CommandTable['publish'], Data> = {
  async run(args, context) {
    const { data } = args
    if (data === undefined) {
      throw new TreatyError('USAGE', 'the option --data is missing', {
        hint: "Write --data '{…}', --data @FILE, or --data - for standard input.",
      })
    }
    return withBus(
      context,
      (bus) =>
        args.jsonl === true ? publishLines(bus, args, context) : publishOne(bus, args, context),
      () => resultOf({ published: 0, refused: 0 }, undefined, context),
    )
  },
}

function optionsOf(args: Arguments): PublishOptions {
  const { key, id, priority, ttl, delay, correlationId } = args
  return {
    ...(key === undefined ? {} : { key }),
    ...(id === undefined ? {} : { id }),
    ...(priority === undefined ? {} : { priority: priority as 'normal' }),
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(correlationId === undefined ? {} : { correlationId }),
  }
}

/** Name of the input that `--data` means: `-` or a file; undefined where it is the data itself. */
function inputOf(data: string): string | undefined {
  if (data === '-') return data
  return data.startsWith('@') ? data.slice(1) : undefined
}

async function publishOne(
  bus: Bus,
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  const given = args.data ?? ''
  const input = inputOf(given)
  const bytes = input === undefined ? Buffer.from(given) : await readAll(input, context)
  const { sender, end } = createSending(bus, args, context)
  await sender.send({ number: 1, bytes, isTooLong: false })
  return end()
}

async function publishLines(
  bus: Bus,
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  const input = inputOf(args.data ?? '')
  const source = input === undefined ? inline(args.data ?? '') : openInput(input, context)
  const { sender, end } = createSending(bus, args, context)
  const settings = await context.settings()
  const bytesMax = settings.limits.messageBytesMax ?? limits.messageBytesMax
  const signal = AbortSignal.any([context.stopping, sender.failed])
  for await (const line of readLines(source, { bytesMax, signal })) {
    if (isBlank(line.bytes)) continue
    await sender.send(line)
    if (signal.aborted) break
  }
  return end()
}

async function* inline(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09)
}

/** What became of one line. */
type Fate =
  | ({ readonly kind: 'published' } & Published)
  | { readonly kind: 'refused'; readonly findings: readonly Finding[] }

interface Sending {
  readonly sender: Sender<Fate>
  /** Waits for everything that is under way. */
  end(): Promise<CommandResult<Data>>
}

function createSending(bus: Bus, args: Arguments, context: CommandContext): Sending {
  const options = optionsOf(args)
  const counts = { published: 0, refused: 0 }
  const sender = new Sender<Fate>({
    send: (line) => fateOf(line, (data) => bus.publish(args.event, data, options)),
    report(line, fate) {
      counts[fate.kind] += 1
      return report(args.jsonl === true ? line.number : undefined, fate, context)
    },
  })
  return {
    sender,
    async end() {
      const failure = await sender.end()
      if (failure && !isTreatyError(failure.error)) throw failure.error
      return resultOf(counts, failure?.error as TreatyError | undefined, context)
    },
  }
}

async function fateOf(line: InputLine, send: (data: unknown) => Promise<Published>): Promise<Fate> {
  const parsed = await parseLine(line)
  if ('findings' in parsed) return { kind: 'refused', findings: parsed.findings }
  try {
    return { kind: 'published', ...(await send(parsed.value)) }
  } catch (error) {
    const findings = refusalOf(error)
    if (findings) return { kind: 'refused', findings }
    throw error
  }
}

function report(line: number | undefined, fate: Fate, context: CommandContext): Promise<void> {
  if (fate.kind === 'published') {
    const { id, position } = fate
    return context.emit(
      { kind: 'published', id, position },
      ({ green, symbols }) => `${green(`${symbols.ok} published`)}  ${id}  at ${position}`,
    )
  }
  const { findings } = fate
  const where = line === undefined ? {} : { line }
  return context.emit({ kind: 'refused', ...where, findings }, (style) => {
    const place = line === undefined ? '' : `  line ${line}`
    return `${style.red(`${style.symbols.fail} refused`)}${place}\n${renderFindings(findings, style)}`
  })
}

function resultOf(
  data: Data,
  error: TreatyError | undefined,
  context: CommandContext,
): CommandResult<Data> {
  const text = `${data.published} published${data.refused === 0 ? '' : `, ${data.refused} refused`}`
  const toText = () => text
  if (error) return { exitCode: catalogEntry(error.code).exitCode, data, error, toText }
  // Signals end the input, so that not everything was sent that was meant to be.
  if (context.stopping.aborted) return { exitCode: stopCode(context.stopping), data, toText }
  return { exitCode: data.refused > 0 ? exitCode.findings : exitCode.ok, data, toText }
}

async function parseLine(
  line: InputLine,
): Promise<{ readonly value: unknown } | { readonly findings: readonly Finding[] }> {
  const finding = (code: string, message: string, hint: string) => ({
    findings: [{ code, message, severity: 'error' as const, hint }],
  })
  if (line.isTooLong) {
    return finding(
      'MESSAGE_TOO_LARGE',
      'the line is larger than a message may be',
      'Send less in one message.',
    )
  }
  if (!isUtf8(line.bytes))
    return finding('FILE_NOT_UTF8', 'the data is not UTF-8 text', 'Send it as UTF-8.')
  const { parseJson } = await import('../../contracts/index.ts')
  const parsed = parseJson(line.bytes.toString('utf8'))
  return 'value' in parsed ? parsed : { findings: [parsed.finding] }
}

/** The findings of an error that is about this message and no other; undefined where the next would fail too. */
function refusalOf(error: unknown): readonly Finding[] | undefined {
  if (!isTreatyError(error)) return undefined
  if (error.findings.length > 0) return error.findings.map(intoData)
  const ofMessage = ['SCHEMA_MISMATCH', 'KEY_CONFLICT', 'MESSAGE_TOO_LARGE', 'UNDECODABLE']
  if (!ofMessage.includes(error.code)) return undefined
  const { code, message, hint } = error
  return [{ code, message, severity: 'error', ...(hint === undefined ? {} : { hint }) }]
}

/** Findings of the bus point into the message; what was given here is its data, so they must point into that. */
function intoData(finding: Finding): Finding {
  const { pointer, message } = finding
  if (pointer !== '/data' && !pointer?.startsWith('/data/')) return finding
  const inner = pointer.slice('/data'.length)
  return {
    ...finding,
    pointer: inner,
    message: message.startsWith(pointer)
      ? `${inner || 'the data'}${message.slice(pointer.length)}`
      : message,
  }
}
