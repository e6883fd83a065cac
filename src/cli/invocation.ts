import { TreatyError } from '../core/errors.ts'
import type { OptionSpec } from './command.ts'
import { type CommandName, commandTable, flagOf, globalOptions } from './command-table.ts'
import { suggest } from './suggest.ts'

/** What a command line asks for. */
export type Invocation =
  | { readonly kind: 'version' }
  /** Help on everything, on a group (`dead`), or on a command. */
  | { readonly kind: 'help'; readonly topic: string | undefined }
  | { readonly kind: 'command'; readonly name: CommandName; readonly rest: readonly string[] }

const names = Object.keys(commandTable) as CommandName[]
const groups = [
  ...new Set(
    names.filter((name) => name.includes(' ')).map((name) => name.split(' ')[0] as string),
  ),
]

/**
 * Finds the command in a command line, flags before or after it. Nothing is parsed yet, so that
 * `--help` and `--version` answer without loading anything.
 *
 * @throws USAGE for an unknown command, with the nearest name
 */
export function readInvocation(argv: readonly string[]): Invocation {
  const { words, rest, asksHelp, asksVersion } = split(argv)
  const [first, second] = words
  if (asksVersion && first === undefined) return { kind: 'version' }
  if (first === undefined) {
    const stray = argv.find((word) => word.startsWith('-') && !isGlobalFlag(word))
    if (stray === undefined || asksHelp) return { kind: 'help', topic: undefined }
    throw new TreatyError('USAGE', `unknown option '${stray}'`, { hint: 'Read treaty --help.' })
  }
  if (first === 'help') return { kind: 'help', topic: topicOf(words.slice(1)) }
  if (groups.includes(first)) {
    const name = names.find((known) => known === `${first} ${second}`)
    if (name !== undefined) {
      return asksHelp
        ? { kind: 'help', topic: name }
        : { kind: 'command', name, rest: without(rest, 2) }
    }
    if (second === undefined) return { kind: 'help', topic: first }
    throw unknown(
      `${first} ${second}`,
      names.filter((known) => known.startsWith(`${first} `)),
    )
  }
  const name = names.find((known) => known === first)
  if (name === undefined) throw unknown(first, [...names, ...groups])
  return asksHelp
    ? { kind: 'help', topic: name }
    : { kind: 'command', name, rest: without(rest, 1) }
}

function topicOf(words: readonly string[]): string | undefined {
  const [first, second] = words
  if (first === undefined) return undefined
  const topic = groups.includes(first) && second !== undefined ? `${first} ${second}` : first
  if (groups.includes(topic) || names.some((known) => known === topic)) return topic
  throw unknown(topic, [...names, ...groups])
}

function unknown(word: string, known: readonly string[]): TreatyError {
  return new TreatyError('USAGE', `unknown command '${word}'`, {
    hint: suggest(word, known) ?? 'Read treaty --help.',
  })
}

/** Flags that take a value, in any command: their value is not the name of a command. */
function takesValue(flag: string): boolean {
  return valueFlags().has(flag)
}
function valueFlags(): ReadonlySet<string> {
  const specs: Readonly<Record<string, OptionSpec>>[] = [globalOptions]
  for (const spec of Object.values(commandTable)) if ('options' in spec) specs.push(spec.options)
  return new Set(
    specs.flatMap((options) =>
      Object.entries(options).flatMap(([name, { kind }]) =>
        kind === 'flag' ? [] : [flagOf(name)],
      ),
    ),
  )
}
function isGlobalFlag(word: string): boolean {
  return Object.keys(globalOptions).some((name) => flagOf(name) === word.split('=')[0])
}

interface Split {
  /** The words that are neither flags nor their values, up to `--`. */
  readonly words: readonly string[]
  /** All of the command line but the requests for help and version. */
  readonly rest: readonly { readonly text: string; readonly isWord: boolean }[]
  readonly asksHelp: boolean
  readonly asksVersion: boolean
}

function split(argv: readonly string[]): Split {
  const rest: { text: string; isWord: boolean }[] = []
  let asksHelp = false
  let asksVersion = false
  let isValue = false
  for (const [at, text] of argv.entries()) {
    if (text === '--' && !isValue) {
      rest.push(...argv.slice(at).map((word) => ({ text: word, isWord: false })))
      break
    }
    if (!isValue && (text === '--help' || text === '-h')) asksHelp = true
    else if (!isValue && (text === '--version' || text === '-V')) asksVersion = true
    else {
      const isFlag: boolean = !isValue && text.startsWith('-') && text !== '-'
      rest.push({ text, isWord: !isFlag && !isValue })
      isValue = isFlag && !text.includes('=') && takesValue(text)
    }
  }
  return {
    words: rest.filter(({ isWord }) => isWord).map(({ text }) => text),
    rest,
    asksHelp,
    asksVersion,
  }
}

/** The command line without the words that name the command. */
function without(rest: Split['rest'], count: number): string[] {
  let left = count
  return rest.flatMap(({ text, isWord }) => {
    if (!isWord || left === 0) return [text]
    left -= 1
    return []
  })
}
