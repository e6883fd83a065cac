import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { type RunSummary, run } from '../start/run.ts'
import { readVersion } from '../version.ts'

export const start: Command<CommandTable['start'], RunSummary> = {
  run: (args, context) =>
    run(context, {
      command: 'start',
      fresh: args.fresh === true,
      arguments: args,
      version: readVersion(),
      terminal: process.stderr,
      output: process.stdout,
    }),
}
