import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { isJsonObject, toPointer } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import { lineStarts, placeAt } from './code-frame.ts'
import type { Path, Place, Source } from './source.ts'

const tokenPattern =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 forbids them inside strings.
  /[{}[\],:]|"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

const blank = /[ \t\r\n]*/y

interface Token {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** A reader of JSON tokens; `next` gives undefined where the text holds no token. */
function createTokens(text: string): { at: number; next(): Token | undefined } {
  return {
    at: 0,
    next() {
      blank.lastIndex = this.at
      blank.exec(text)
      const start = blank.lastIndex
      tokenPattern.lastIndex = start
      const found = tokenPattern.exec(text)
      this.at = found ? tokenPattern.lastIndex : start
      return found ? { text: found[0], start, end: this.at } : undefined
    },
  }
}

/** Offset at which a text stops being JSON (RFC 8259); undefined for JSON. Iterative: depth costs no stack. */
export function jsonErrorOffset(text: string): number | undefined {
  const tokens = createTokens(text)
  const open: string[] = []
  let expects: 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'colon' | 'more' = 'value'
  for (;;) {
    const token = tokens.next()
    if (!token)
      return tokens.at < text.length || expects !== 'more' || open.length > 0
        ? tokens.at
        : undefined
    const { text: word, start } = token
    const isEnd = word === '}' || word === ']'
    if (isEnd) {
      const fits = (word === '}' ? '{' : '[') === open.at(-1)
      const allowed = expects === 'more' || expects === (word === '}' ? 'keyOrEnd' : 'valueOrEnd')
      if (!fits || !allowed) return start
      open.pop()
      expects = 'more'
    } else if (expects === 'more') {
      if (word !== ',' || open.length === 0) return start
      expects = open.at(-1) === '{' ? 'key' : 'value'
    } else if (expects === 'colon') {
      if (word !== ':') return start
      expects = 'value'
    } else if (expects === 'key' || expects === 'keyOrEnd') {
      if (!word.startsWith('"')) return start
      expects = 'colon'
    } else if (word === '{' || word === '[') {
      open.push(word)
      expects = word === '{' ? 'keyOrEnd' : 'valueOrEnd'
    } else if (word === ',' || word === ':') {
      return start
    } else {
      expects = 'more'
    }
  }
}

/** Reads past the value whose first token is given. */
function skipValue(tokens: ReturnType<typeof createTokens>, first: Token): number {
  let depth = 0
  let token: Token | undefined = first
  for (;;) {
    if (!token) return tokens.at
    if (token.text === '{' || token.text === '[') depth += 1
    if (token.text === '}' || token.text === ']') depth -= 1
    if (depth <= 0) return token.end
    token = tokens.next()
  }
}

interface Mark {
  readonly start: number
  readonly end: number
}

/** Moves to the value of member `step`, or item `step`; its key's and its own first token. */
function enter(
  tokens: ReturnType<typeof createTokens>,
  first: Token,
  step: string | number,
): { key?: Token; value: Token } | undefined {
  const isObject = first.text === '{'
  if (!isObject && first.text !== '[') return undefined
  for (let index = 0; ; index += 1) {
    let token = tokens.next()
    if (token?.text === ',') token = tokens.next()
    if (!token || token.text === '}' || token.text === ']') return undefined
    if (!isObject) {
      if (index === Number(step)) return { value: token }
      skipValue(tokens, token)
      continue
    }
    const key = token
    tokens.next()
    const value = tokens.next()
    if (!value) return undefined
    if (JSON.parse(key.text) === String(step)) return { key, value }
    skipValue(tokens, value)
  }
}

function markOf(text: string, path: Path, at: 'key' | 'value'): Mark | undefined {
  const tokens = createTokens(text)
  let value = tokens.next()
  if (!value) return undefined
  let mark: Mark = value
  for (const [depth, step] of path.entries()) {
    const found: { key?: Token; value: Token } | undefined = enter(tokens, value, step)
    if (!found) break
    value = found.value
    const isContainer = value.text === '{' || value.text === '['
    const wantsKey = (at === 'key' && depth === path.length - 1) || isContainer
    mark = wantsKey && found.key ? found.key : value
  }
  return mark
}

/** A JSON text whose values can be found again. Only valid JSON has places. */
export function jsonSource(text: string, file?: string): Source {
  let starts: number[] | undefined
  return {
    ...(file === undefined ? {} : { file }),
    place(path, at = 'value') {
      const mark = markOf(text, path, at)
      if (!mark) return undefined
      starts ??= lineStarts(text)
      return placeAt(text, mark.start, { end: mark.end, starts })
    },
  }
}

/** Line, column and code frame of what a JSON Pointer's reference tokens lead to in a JSON text. */
export function placeInJson(
  text: string,
  path: Path,
  at: 'key' | 'value' = 'value',
): Place | undefined {
  return jsonSource(text).place(path, at)
}

/** A parsed JSON text, or why it is none. */
export type ParsedJson = { readonly value: Json } | { readonly finding: Finding }

/**
 * Parses a JSON text with the place of the first mistake, and refuses what nests deeper than the limit or holds
 * a key `__proto__` or one key twice. Findings: JSON_SYNTAX, JSON_DUPLICATE_KEY, JSON_TOO_DEEP, KEY_FORBIDDEN.
 */
export function parseJson(text: string, file?: string): ParsedJson {
  const fileField = file === undefined ? {} : { file }
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    const offset = jsonErrorOffset(text) ?? 0
    const isEnd = text.slice(offset).trim() === ''
    const message = isEnd ? 'the JSON text ends too early' : 'this is not JSON'
    const hint = 'Check quotes, commas and brackets here and just before; JSON has no comments.'
    return {
      finding: {
        code: 'JSON_SYNTAX',
        message,
        severity: 'error',
        hint,
        ...fileField,
        ...placeAt(text, offset),
      },
    }
  }
  const keys = { count: 0 }
  const problem = findUnsafe(value, [], keys)
  if (!problem && countKeyColons(text) === keys.count) return { value }
  const duplicate = findDuplicate(text)
  if (duplicate) {
    return {
      finding: {
        code: 'JSON_DUPLICATE_KEY',
        message: `the key ${duplicate.text} is there twice in one object`,
        severity: 'error',
        hint: 'Remove one of the two.',
        ...fileField,
        ...placeAt(text, duplicate.start, { end: duplicate.end }),
      },
    }
  }
  if (!problem) return { value }
  const isDeep = problem.code === 'JSON_TOO_DEEP'
  return {
    finding: {
      code: problem.code,
      message: isDeep
        ? `the value is nested deeper than ${limits.depthMax} levels`
        : 'the key `__proto__` is not allowed: JavaScript gives it a meaning of its own',
      severity: 'error',
      hint: isDeep ? 'Flatten it.' : 'Choose another name.',
      pointer: toPointer(problem.path),
      ...fileField,
      ...placeInJson(text, problem.path, 'key'),
    },
  }
}

/**
 * Colons behind a quote: at least as many as the text has keys, for each key has one. Where a value has as many keys,
 * no key was there twice, which is found out so without reading the text token by token.
 */
function countKeyColons(text: string): number {
  let count = 0
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    let before = at - 1
    while (text.charCodeAt(before) <= 0x20) before -= 1
    if (text.charCodeAt(before) === 0x22) count += 1
  }
  return count
}

/** The first key that its object has had before. Only asked about valid JSON. */
function findDuplicate(text: string): Token | undefined {
  const tokens = createTokens(text)
  const open: (Set<string> | undefined)[] = []
  let isKey = false
  for (let token = tokens.next(); token; token = tokens.next()) {
    const first = token.text[0]
    if (first === '{') open.push(new Set())
    else if (first === '[') open.push(undefined)
    else if (first === '}' || first === ']') open.pop()
    else if (isKey && first === '"') {
      const keys = open.at(-1)
      const name = token.text.includes('\\')
        ? (JSON.parse(token.text) as string)
        : token.text.slice(1, -1)
      if (keys?.has(name)) return token
      keys?.add(name)
    }
    isKey = (first === '{' || first === ',') && open.at(-1) !== undefined
  }
  return undefined
}

interface Unsafe {
  readonly code: 'JSON_TOO_DEEP' | 'KEY_FORBIDDEN'
  readonly path: Path
}

/** Walks the keys of one value and counts those of objects; the path is only built where something is found. */
function findUnsafe(
  value: Json,
  path: (string | number)[],
  keys: { count: number },
): Unsafe | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (path.length >= limits.depthMax) return { code: 'JSON_TOO_DEEP', path: [...path] }
  const isObject = isJsonObject(value)
  for (const key of Object.keys(value)) {
    if (isObject && key === '__proto__') return { code: 'KEY_FORBIDDEN', path: [...path, key] }
    if (isObject) keys.count += 1
    path.push(key)
    const found = findUnsafe((value as Record<string, Json>)[key] as Json, path, keys)
    path.pop()
    if (found) return found
  }
  return undefined
}
