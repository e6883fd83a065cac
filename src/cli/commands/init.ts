import { existsSync, readFileSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import { TreatyError } from '../../core/errors.ts'
import type { ArgumentsOf, Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { mergePackage, readPackage } from '../init/package-json.ts'
import { gitignoreLines, packageOf, projectFiles } from '../init/template.ts'
import type { Style } from '../style.ts'
import { readVersion } from '../version.ts'
import { writeText } from '../write-text.ts'

interface Data {
  /** Absolute. */
  readonly directory: string
  readonly name: string
  /** Relative to the directory, in the order in which they were written. */
  readonly files: readonly string[]
  /** What was there and was left as it is. */
  readonly kept: readonly string[]
  readonly next: readonly string[]
}
type Arguments = ArgumentsOf<CommandTable['init']>

/** Makes a project that runs. */
export const init: Command<CommandTable['init'], Data> = {
  async run(args, context) {
    const { directory, name } = await choose(args, context)
    const folder = resolve(context.cwd, directory)
    const taken = ['contracts', 'treaty.config.yaml', 'treaty.config.ts'].find((path) =>
      existsSync(join(folder, path)),
    )
    if (taken !== undefined) {
      throw new TreatyError('OUTPUT_EXISTS', `${join(directory, taken)} is there already`, {
        hint: 'Choose an empty folder: treaty init DIR.',
        details: { path: taken },
      })
    }
    const data = await writeProject(folder, name)
    const away = relative(context.cwd, folder)
    const steps = [
      ...(away === '' ? [] : [`cd ${away}`]),
      ...(existsSync(join(folder, 'node_modules', 'treatyjs')) ? [] : ['npm install']),
      'npx treaty dev',
    ]
    const result = { ...data, next: steps }
    return { data: result, toText: (style) => doneText(result, away, style) }
  },
}

async function choose(
  args: Arguments,
  context: CommandContext,
): Promise<{ directory: string; name: string }> {
  const nameFor = (directory: string) =>
    args.name ?? packageName(basename(resolve(context.cwd, directory)))
  if (args.yes !== true && context.interactive) {
    const { ask } = await import('../init/ask.ts')
    const { directory, name } = args
    const given = {
      ...(directory === undefined ? {} : { directory }),
      ...(name === undefined ? {} : { name }),
    }
    return ask(given, nameFor)
  }
  const directory = args.directory ?? '.'
  return { directory, name: nameFor(directory) }
}

/** A name that npm takes. */
function packageName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+/, '')
  return name === '' ? 'treaty-project' : name
}

async function writeProject(folder: string, name: string): Promise<Omit<Data, 'next'>> {
  const version = readVersion()
  const existing = readPackage(join(folder, 'package.json'))
  const extension = existing === undefined || existing.type === 'module' ? 'ts' : 'mts'
  const wanted = packageOf({ name, version })
  const manifest = existing === undefined ? wanted : mergePackage(existing, wanted)
  const files: string[] = []
  const kept: string[] = []
  const write = (path: string, text: string) => {
    writeText(join(folder, path), text)
    files.push(path)
  }
  for (const [path, text] of projectFiles({ name, version, extension })) {
    if (existsSync(join(folder, path))) kept.push(path)
    else write(path, text)
  }
  write('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
  write('.gitignore', gitignoreFor(join(folder, '.gitignore')))
  const { generateTypes, loadContracts } = await import('../../contracts/index.ts')
  const { contracts } = await loadContracts(join(folder, 'contracts'))
  write('treaty.gen.d.ts', await generateTypes(contracts))
  return { directory: folder, name, files, kept }
}

function gitignoreFor(path: string): string {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const there = new Set(before.split('\n').map((line) => line.trim()))
  const missing = gitignoreLines.filter((line) => !there.has(line))
  const gap = before === '' || before.endsWith('\n') ? '' : '\n'
  return `${before}${gap}${missing.map((line) => `${line}\n`).join('')}`
}

const remarks: Readonly<Record<string, string>> = {
  'contracts/shop.orders.yaml': 'your first contract',
  'src/handlers.ts': 'receives its messages, typed',
  'src/handlers.mts': 'receives its messages, typed',
  'treaty.config.yaml': 'what treaty dev runs',
}

function doneText(data: Data, away: string, { bold, cyan, dim, green, symbols }: Style): string {
  const width = Math.max(...data.files.map((path) => path.length))
  const rows = data.files.map((path) => {
    const remark = remarks[path]
    return remark === undefined ? `   ${path}` : `   ${path.padEnd(width)}  ${dim(remark)}`
  })
  const kept = data.kept.length === 0 ? [] : [dim(`   left as they were: ${data.kept.join(', ')}`)]
  return [
    `${green(`${symbols.ok} created`)}  ${bold(away === '' ? data.name : `${away}/`)}  ${dim(`(${data.files.length} files)`)}`,
    ...rows,
    ...kept,
    '',
    `${bold('Next')}  ${cyan(data.next.join(' && '))}`,
    dim('      publishes a sample order every 2 s, and shows what becomes of it'),
  ].join('\n')
}
