import { createRequire } from 'node:module'

// Loaded when the first suspicious pattern comes: the automata cost 50 ms that most contracts need not pay.
const require = createRequire(import.meta.url)
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

/** An endless or long repetition of a group: without one, no pattern is exponential. */
const repeatsGroup = /\)(?:[*+]|\{\d*,\d*\}|\{\d{2,}\})/

const verdicts = new Map<string, boolean>()
const verdictsKept = 500

/** A pattern that can be asked whether a text holds it; what Ajv needs of a regular expression. */
export interface Pattern {
  test(text: string): boolean
  toString(): string
}

/**
 * The pattern with flag `u`; where that does not parse, without it, as most schemas in the wild were written. One on which
 * JavaScript's engine would need exponential time, such as `^(a+)+$`, runs as an automaton: linear in the text, same answer.
 *
 * @throws SyntaxError where the source is no regular expression
 */
export function compilePattern(source: string, flags = 'u'): Pattern {
  const expression = compileExpression(source, flags)
  if (!repeatsGroup.test(source) || !isExponential(expression)) return expression
  const { matches } = require(
    `../compat/automata/match.${extension}`,
  ) as typeof import('../compat/automata/match.ts')
  return { test: (text) => matches(source, text), toString: () => expression.toString() }
}

function compileExpression(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags)
  } catch {
    return new RegExp(source)
  }
}

function isExponential({ source, flags }: RegExp): boolean {
  const key = `${flags}/${source}`
  const known = verdicts.get(key)
  if (known !== undefined) return known
  if (verdicts.size >= verdictsKept) verdicts.clear()
  const verdict = analyse(source, flags)
  verdicts.set(key, verdict)
  return verdict
}

function analyse(source: string, flags: string): boolean {
  const ambiguity = require(
    `./pattern-ambiguity.${extension}`,
  ) as typeof import('./pattern-ambiguity.ts')
  try {
    return ambiguity.isExponential(source, flags)
  } catch {
    // What the parser of the automata does not take, they cannot run either.
    return false
  }
}
