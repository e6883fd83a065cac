import { describe, expect, it } from 'vitest'
import { specOf } from './command-table.ts'
import { parseArguments } from './program.ts'

const parse = (name: Parameters<typeof specOf>[0], ...argv: string[]) =>
  parseArguments(name, specOf(name), argv)

const failure = (name: Parameters<typeof specOf>[0], ...argv: string[]) => {
  try {
    parse(name, ...argv)
    return undefined
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint?: string }
    return { code, message, hint }
  }
}

describe('parseArguments', () => {
  it('gives positionals and options by name, durations in milliseconds', () => {
    const { args } = parse(
      'consume',
      'billing',
      '--idle-exit',
      '2s',
      '--max',
      '10',
      '--events',
      'a.b,c.d',
    )

    expect(args).toEqual({ consumer: 'billing', idleExit: 2000, max: 10, events: ['a.b', 'c.d'] })
  })

  it('takes a bare number of a duration as milliseconds', () => {
    expect(parse('consume', 'billing', '--idle-exit', '3000').args.idleExit).toBe(3000)
  })

  it('gathers a list that is given several times', () => {
    expect(parse('check', '--contracts', 'a', '--contracts', 'b').args.contracts).toEqual([
      'a',
      'b',
    ])
  })

  it('reads the options of every command', () => {
    const { flags } = parse('check', '--json', '--no-color', '--no-input', '--timeout', '5s')

    expect(flags).toEqual({
      json: true,
      quiet: false,
      verbose: false,
      input: false,
      color: false,
      timeoutMs: 5000,
    })
  })

  it('takes a value that begins with a dash', () => {
    expect(parse('publish', 'e', '--data', '-5').args.data).toBe('-5')
  })

  it.each([
    [['consume'], "missing required argument 'consumer'", 'Run treaty consume --help.'],
    [['consume', 'b', '--mx', '3'], "unknown option '--mx'", 'Did you mean --max?'],
    [['consume', 'b', '--max', '0'], "--max is '0', expected a whole number from 1", undefined],
    [['consume', 'b', '--max', '1e3'], "--max is '1e3', expected a whole number from 1", undefined],
    [
      ['consume', 'b', '--concurrency', '10001'],
      "--concurrency is '10001', expected a whole number from 1 to 10000",
      undefined,
    ],
    [
      ['consume', 'b', '--idle-exit', 'soon'],
      "--idle-exit is 'soon', expected a duration",
      'Write 200ms, 5s, 2m, or milliseconds.',
    ],
    [
      ['validate', 'f', '--profile', 'x'],
      "--profile is 'x', expected default, seed-compat, strict-ids",
      undefined,
    ],
  ] as const)('refuses %j as wrong use', ([name, ...argv], message, hint) => {
    expect(failure(name, ...argv)).toEqual({ code: 'USAGE', message, hint })
  })

  it('refuses more arguments than there are', () => {
    expect(failure('check', 'a', 'b')).toMatchObject({ code: 'USAGE' })
  })
})
