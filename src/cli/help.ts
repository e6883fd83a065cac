import type { CommandSpec, OptionSpec } from './command.ts'
import {
  type CommandName,
  commandGroups,
  commandTable,
  flagOf,
  globalOptions,
  specOf,
} from './command-table.ts'
import type { Style } from './style.ts'

/** Help on everything (no topic), on a group such as `dead`, or on one command. */
export function renderHelp(topic: string | undefined, style: Style): string {
  if (topic === undefined) return overview(style)
  if (topic in commandTable) return commandHelp(topic as CommandName, style)
  return groupHelp(topic, style)
}

function overview(style: Style): string {
  const names = commandGroups.flatMap(([, group]) => group)
  const width = Math.max(...names.map((name) => name.length))
  const sections = commandGroups.map(([title, group]) =>
    [style.bold(title), ...group.map((name) => row(name, specOf(name).summary, width))].join('\n'),
  )
  return [
    `${style.bold('treaty')}: contract-first integration for services and AI agents`,
    `${style.bold('Examples')}
  treaty init shop --yes            a project that runs
  treaty check                      find every mistake in its contracts
  treaty dev                        run it`,
    ...sections,
    `Every command takes --json and --help; treaty COMMAND --help says more.`,
    footer(style),
  ].join('\n\n')
}

function groupHelp(group: string, style: Style): string {
  const names = (Object.keys(commandTable) as CommandName[]).filter((name) =>
    name.startsWith(`${group} `),
  )
  const width = Math.max(...names.map((name) => name.length))
  return [
    `${style.bold('Usage')}  treaty ${group} ${names.map((name) => name.split(' ')[1]).join('|')}`,
    names.map((name) => row(name, specOf(name).summary, width)).join('\n'),
    `treaty ${group} COMMAND --help says more.`,
  ].join('\n\n')
}

function commandHelp(name: CommandName, style: Style): string {
  const spec = specOf(name)
  const parts = [
    spec.summary,
    examples(spec, style),
    `${style.bold('Usage')}  ${usageLine(name, spec)}`,
  ]
  if (spec.description !== undefined) parts.splice(1, 0, wrap(spec.description, style.width))
  const positionals = Object.entries(spec.positionals ?? {})
  if (positionals.length > 0) {
    const width = Math.max(...positionals.map(([word]) => word.length))
    const rows = positionals.map(([word, { summary }]) => row(word.toUpperCase(), summary, width))
    parts.push([style.bold('Arguments'), ...rows].join('\n'))
  }
  if (spec.options) parts.push(optionRows('Options', spec.options, style))
  parts.push(optionRows('Every command', globalOptions, style), footer(style))
  return parts.join('\n\n')
}

function examples(spec: CommandSpec, style: Style): string {
  const rows = spec.examples.map(
    ([line, note]) => `  ${style.cyan(line)}\n      ${style.dim(note)}`,
  )
  return [style.bold('Examples'), ...rows].join('\n')
}

/** `treaty consume CONSUMER [options]` */
export function usageLine(name: string, spec: CommandSpec): string {
  const words = Object.entries(spec.positionals ?? {}).map(([word, { optional }]) =>
    optional === true ? `[${word.toUpperCase()}]` : word.toUpperCase(),
  )
  return ['treaty', name, ...words, '[options]'].join(' ')
}

function optionRows(
  title: string,
  options: Readonly<Record<string, OptionSpec>>,
  style: Style,
): string {
  const rows = Object.entries(options).map(
    ([name, spec]) => [optionLabel(name, spec), summaryOf(spec)] as const,
  )
  const width = Math.max(...rows.map(([label]) => label.length))
  return [style.bold(title), ...rows.map(([label, summary]) => row(label, summary, width))].join(
    '\n',
  )
}

/** `--idle-exit MS` */
export function optionLabel(name: string, spec: OptionSpec): string {
  return [flagOf(name), ...(spec.value === undefined ? [] : [spec.value])].join(' ')
}

/** The summary of an option, with its choices. */
export function summaryOf(spec: OptionSpec): string {
  return spec.choices ? `${spec.choices.join(', ')}. ${spec.summary}` : spec.summary
}

function row(label: string, text: string, width: number): string {
  return `  ${label.padEnd(width)}  ${text}`
}

function wrap(text: string, width: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < Math.min(width, 90)) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(word)
  }
  return lines.join('\n')
}

function footer(style: Style): string {
  return style.dim(
    'treaty explain CODE prints the long text of an error. README.md and docs/errors.md come with the package.',
  )
}
