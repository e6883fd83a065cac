import { describe, expect, it } from 'vitest'
import { readInvocation } from './invocation.ts'

const hintOf = (argv: readonly string[]) => {
  try {
    readInvocation(argv)
    return undefined
  } catch (error) {
    return (error as { hint?: string }).hint
  }
}

describe('readInvocation', () => {
  it('finds a command, flags before and after it alike', () => {
    const wanted = { kind: 'command', name: 'check' }

    expect(readInvocation(['check', '--json'])).toEqual({ ...wanted, rest: ['--json'] })
    expect(readInvocation(['--json', 'check'])).toEqual({ ...wanted, rest: ['--json'] })
    expect(readInvocation(['--cwd', 'check', 'check'])).toEqual({
      ...wanted,
      rest: ['--cwd', 'check'],
    })
  })

  it('finds a command of two words', () => {
    expect(readInvocation(['dead', '--transport', 'memory:', 'show', 'ID'])).toEqual({
      kind: 'command',
      name: 'dead show',
      rest: ['--transport', 'memory:', 'ID'],
    })
  })

  it('leaves what follows -- alone', () => {
    expect(readInvocation(['explain', '--', '--help'])).toEqual({
      kind: 'command',
      name: 'explain',
      rest: ['--', '--help'],
    })
  })

  it('takes a lone dash as a value', () => {
    expect(readInvocation(['validate', '-'])).toMatchObject({ name: 'validate', rest: ['-'] })
  })

  it('answers help anywhere, on everything, a group or a command', () => {
    expect(readInvocation([])).toEqual({ kind: 'help', topic: undefined })
    expect(readInvocation(['--help'])).toEqual({ kind: 'help', topic: undefined })
    expect(readInvocation(['dead'])).toEqual({ kind: 'help', topic: 'dead' })
    expect(readInvocation(['dead', 'list', '-h'])).toEqual({ kind: 'help', topic: 'dead list' })
    expect(readInvocation(['help', 'dead', 'list'])).toEqual({ kind: 'help', topic: 'dead list' })
  })

  it('does not take the value of a flag for a request for help', () => {
    expect(readInvocation(['publish', 'e', '--data', '--help'])).toMatchObject({
      kind: 'command',
      rest: ['e', '--data', '--help'],
    })
  })

  it('suggests what was probably meant', () => {
    expect(hintOf(['chekc'])).toBe("Did you mean 'check'?")
    expect(hintOf(['dead', 'lits'])).toBe("Did you mean 'dead list'?")
    expect(hintOf(['contract', 'nonsense'])).toBe(
      'Use one of: contract push, contract show, contract docs.',
    )
  })
})
