import type { CatalogEntry } from '../core/catalog/entry.ts'
import { type ErrorCode, errorCatalog } from '../core/errors.ts'
import type { OptionSpec } from './command.ts'
import { commandGroups, globalOptions, specOf } from './command-table.ts'
import { exitCode } from './exit-code.ts'
import { optionLabel, summaryOf, usageLine } from './help.ts'

/** Head of every page that is written by the script. */
export const note =
  '<!-- Written by scripts/generate-docs.ts. Do not edit: change the source and run it again. -->'

const exitMeanings: Readonly<Record<keyof typeof exitCode, string>> = {
  ok: 'done, nothing to report',
  unforeseen: 'our defect, or something unforeseen; says where the trace is',
  usage: 'wrong use, or invalid configuration',
  findings: 'the tool worked and found problems',
  notFound: 'the thing named does not exist',
  refused: 'refused: conflict or policy',
  unavailable: 'a neighbour is unavailable; trying again may help',
  interrupted: 'interrupted (Ctrl-C) before it could finish',
  terminated: 'terminated (SIGTERM) before it could finish',
}

/** docs/errors.md: each code of the catalogue with its meaning, what to do, and the smallest thing that triggers it. */
export function errorsMarkdown(): string {
  const codes = (Object.keys(errorCatalog) as ErrorCode[]).toSorted()
  const sections = codes.map((code) => entryMarkdown(code, errorCatalog[code]))
  return `${note}

# Error codes

Every error and finding carries one of these codes; branch on the code, never on the message. \`treaty explain CODE\` prints
the same text. *Exit* is the exit code of the command line, *status* that of the HTTP API.

${sections.join('\n\n')}
`
}

function entryMarkdown(code: string, entry: CatalogEntry): string {
  const facts = `Exit ${entry.exitCode} · status ${entry.status} · ${entry.retryable ? 'may pass when tried again' : 'does not pass by trying again'}`
  const example = entry.example === undefined ? '' : `\n\n\`\`\`\n${entry.example}\n\`\`\``
  return `## ${code}\n\n${entry.meaning}\n\n**What to do.** ${entry.fix}${example}\n\n${facts}`
}

/** docs/reference/cli.md: every command, from the same table as the parser and the help texts. */
export function cliMarkdown(): string {
  const groups = commandGroups.map(
    ([title, names]) => `## ${title}\n\n${names.map(commandMarkdown).join('\n\n')}`,
  )
  return `${note}

# Command line

Data goes to standard output, everything else to standard error. Flags stand before or after the command. With \`--json\` a command
prints one object \`{ treaty: 1, command, ok, exitCode, data, findings, error, elapsedMs }\`; \`publish\`, \`consume\` and \`tail\`
print one object a line, the last of kind \`summary\`, also without \`--json\` where standard output is no terminal.

## Exit codes

| code | meaning |
| --- | --- |
${Object.entries(exitMeanings)
  .map(([name, meaning]) => `| ${exitCode[name as keyof typeof exitCode]} | ${meaning} |`)
  .join('\n')}

## Options of every command

${optionTable(globalOptions)}

${groups.join('\n\n')}
`
}

function commandMarkdown(name: Parameters<typeof specOf>[0]): string {
  const spec = specOf(name)
  const positionals = Object.entries(spec.positionals ?? {})
  const parts = [
    `### treaty ${name}`,
    `${spec.summary}.${spec.description === undefined ? '' : ` ${spec.description}`}`,
    `\`\`\`sh\n${usageLine(name, spec)}\n\n${spec.examples.map(([line, what]) => `# ${what}\n${line}`).join('\n')}\n\`\`\``,
  ]
  if (positionals.length > 0) {
    const rows = positionals.map(
      ([word, { summary }]) => `| \`${word.toUpperCase()}\` | ${cell(summary)} |`,
    )
    parts.push(`| argument | |\n| --- | --- |\n${rows.join('\n')}`)
  }
  if (spec.options) parts.push(optionTable(spec.options))
  return parts.join('\n\n')
}

function optionTable(options: Readonly<Record<string, OptionSpec>>): string {
  const rows = Object.entries(options).map(
    ([name, spec]) => `| \`${cell(optionLabel(name, spec))}\` | ${cell(summaryOf(spec))} |`,
  )
  return `| option | |\n| --- | --- |\n${rows.join('\n')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
