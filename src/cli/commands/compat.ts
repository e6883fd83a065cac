import { resolve } from 'node:path'
import type { DraftName } from '../../contracts/compat/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { plural } from '../finding-text.ts'
import { openInput, readLines } from '../read-input.ts'
import { stopCode } from '../stopping.ts'

type Arguments = ArgumentsOf<CommandTable['compat']>

/** One line of a batch: two schemas of the largest size that is read from files, and their frame. */
const lineBytesMax = 33_554_432

/** Says whether every message of one schema is accepted by another. */
export const compat: Command<CommandTable['compat']> = {
  async run(args, context) {
    if (args.batch !== undefined) return answerBatch(args, args.batch, context)
    if (args.a === undefined || args.b === undefined) {
      throw new TreatyError('USAGE', 'two schemas or contracts are needed', {
        hint: 'Write treaty compat A.json B.json, or treaty compat --batch FILE.',
      })
    }
    const { compareFiles } = await import('../compat/files.ts')
    const { a, b } = { a: resolve(context.cwd, args.a), b: resolve(context.cwd, args.b) }
    return compareFiles({ ...args, a, b }, context)
  },
}

async function answerBatch(
  args: Arguments,
  name: string,
  context: CommandContext,
): Promise<CommandResult> {
  const { answerLine } = await import('../compat/batch.ts')
  const { draft, budget } = args
  const counts = { compatible: 0, breaking: 0, unknown: 0, errors: 0 }
  const lines = readLines(openInput(name, context), {
    bytesMax: lineBytesMax,
    signal: context.stopping,
  })
  for await (const line of lines) {
    if (line.bytes.toString('latin1').trim() === '') continue
    const answer = answerLine(line, {
      clock: context.clock,
      signal: context.stopping,
      ...(draft === undefined ? {} : { draft: draft as DraftName }),
      ...(budget === undefined ? {} : { budgetMs: budget }),
    })
    if (answer.kind === 'error') counts.errors += 1
    else counts[answer.verdict] += 1
    await context.emit({ ...answer }, () => JSON.stringify(answer))
  }
  const pairs = counts.compatible + counts.breaking + counts.unknown + counts.errors
  const failed = counts.errors > 0
  return {
    exitCode: context.stopping.aborted
      ? stopCode(context.stopping)
      : failed
        ? exitCode.findings
        : exitCode.ok,
    data: { pairs, ...counts },
    toText({ green, red, symbols }) {
      const verdict = failed ? red(`${symbols.fail} failed`) : green(`${symbols.ok} ok`)
      return `${verdict}  ${plural(pairs, 'pair')}: ${counts.compatible} compatible, ${counts.breaking} breaking, ${counts.unknown} unknown, ${counts.errors} not judged`
    },
  }
}
