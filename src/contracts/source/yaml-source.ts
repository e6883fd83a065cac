import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
} from 'yaml'
import type { Json } from '../../core/json.ts'
import { toPointer } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import { lineStarts, placeAt } from './code-frame.ts'
import type { Path, Place, Report, Source } from './source.ts'
import { createReport } from './source.ts'

/** A parsed YAML document: its value, its findings so far, and the way back to the text. */
export interface YamlDocument {
  readonly report: Report
  /** Undefined when the text cannot be read as YAML. */
  readonly value: Json | undefined
}

const syntaxMessages: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias may carry neither tag nor anchor',
  BAD_ALIAS: 'the alias has no name',
  BAD_DIRECTIVE: 'the directive cannot be read',
  BAD_DQ_ESCAPE: 'the escape sequence in the quoted text is not valid',
  BAD_INDENT: 'the indentation does not fit',
  BAD_SCALAR_START: 'a plain text cannot start with this character',
  BLOCK_AS_IMPLICIT_KEY: 'a nested map cannot start on the line of its key',
  BLOCK_IN_FLOW: 'a block cannot stand inside brackets or braces',
  MISSING_CHAR: 'a character is missing here: a quote, bracket, brace, comma or colon',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'the file holds more than one YAML document',
  MULTIPLE_TAGS: 'a value can have one tag only',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line',
  TAB_AS_INDENT: 'a tab cannot indent',
  TAG_RESOLVE_FAILED: 'the tag is not known, or does not fit the value',
  UNEXPECTED_TOKEN: 'this was not expected here',
}

/**
 * Parses YAML 1.2 with positions. Reports syntax errors, duplicate keys, keys that JavaScript gives a meaning,
 * too many aliases (counted before they are expanded) and too deep nesting; never throws, never expands a bomb.
 */
export function parseYaml(text: string, file?: string): YamlDocument {
  const starts = lineStarts(text)
  const found = readTree(text)
  const source: Source = {
    ...(file === undefined ? {} : { file }),
    place: (path, at) => place(text, starts, found.tree, path, at),
  }
  const report = createReport(source)
  const fileField = file === undefined ? {} : { file }
  if (found.tree === undefined) {
    report.push({
      code: 'YAML_TOO_DEEP',
      message: `the document is nested deeper than ${limits.depthMax} levels`,
      severity: 'error',
      hint: 'Flatten it.',
      ...fileField,
      ...placeAt(text, 0, { starts }),
    })
    return { report, value: undefined }
  }
  const problems = [...found.tree.errors, ...found.tree.warnings]
  const lines = new Set<number>()
  for (const problem of problems) {
    const placed = placeAt(text, problem.pos[0], { end: problem.pos[1], starts })
    // One mistake makes the parser stumble several times over the same line.
    if (lines.has(placed.line)) continue
    lines.add(placed.line)
    const tooDeep = problem.code === 'RESOURCE_EXHAUSTION'
    report.push({
      code: tooDeep ? 'YAML_TOO_DEEP' : 'YAML_SYNTAX',
      message: tooDeep
        ? `the document is nested deeper than ${limits.depthMax} levels`
        : (syntaxMessages[problem.code] ?? firstSentence(problem.message)),
      severity: 'error',
      hint: syntaxHint(problem.code),
      ...fileField,
      ...placed,
    })
  }
  if (problems.length > 0) return { report, value: undefined }
  const placeRange = (range: readonly number[]): Place =>
    placeAt(text, range[0] as number, { end: range[1] as number, starts })
  return { report, value: toValue(found.tree, report, placeRange) }
}

interface Tree {
  readonly tree: Document<ParsedNode> | undefined
}

function readTree(text: string): Tree {
  try {
    const tree = parseDocument(text, {
      version: '1.2',
      // The library compares each key with each other, which is quadratic; `toValue` uses a set.
      uniqueKeys: false,
      prettyErrors: false,
      stringKeys: false,
    }) as Document<ParsedNode>
    return { tree }
  } catch (error) {
    if (error instanceof RangeError) return { tree: undefined }
    throw error
  }
}

function firstSentence(message: string): string {
  const first = (message.split('\n')[0] ?? message).replace(/\.$/, '')
  return `${first.charAt(0).toLowerCase()}${first.slice(1)}`
}

function syntaxHint(code: string): string {
  if (code === 'MULTIPLE_DOCS') return 'Put each contract into a file of its own.'
  if (code === 'RESOURCE_EXHAUSTION') return 'Flatten it.'
  if (code === 'TAG_RESOLVE_FAILED') {
    return 'Leave the tag out: texts, numbers, true, false, null, lists and maps need none.'
  }
  if (code === 'TAB_AS_INDENT') return 'Indent with spaces.'
  return 'Check indentation, quotes and brackets on this line and the one before.'
}

/** What one conversion from nodes to values carries along. */
interface Conversion {
  readonly tree: Document<ParsedNode>
  readonly report: Report
  readonly placeRange: (range: readonly number[]) => Place
  readonly anchors: Map<string, Node>
  readonly aliasCosts: Map<Node, number>
  isTooDeep: boolean
  /** The alias that expands to most, to be shown where they are too many. */
  costliest?: { readonly node: Alias; readonly cost: number }
}

function toValue(
  tree: Document<ParsedNode>,
  report: Report,
  placeRange: Conversion['placeRange'],
): Json | undefined {
  const conversion: Conversion = {
    tree,
    report,
    placeRange,
    anchors: new Map(),
    aliasCosts: new Map(),
    isTooDeep: false,
  }
  const aliases = countAliases(conversion, tree.contents, 0)
  if (aliases > limits.yamlAliasesMax) {
    const range = conversion.costliest?.node.range
    report.push({
      code: 'YAML_ALIASES',
      message: Number.isFinite(aliases)
        ? `the aliases of this document expand to ${aliases} copies, at most ${limits.yamlAliasesMax} are allowed`
        : 'an alias contains itself',
      severity: 'error',
      hint: 'Write the values out, or use fewer aliases.',
      ...(report.source.file === undefined ? {} : { file: report.source.file }),
      ...(range ? placeRange(range) : {}),
    })
    return undefined
  }
  return convert(conversion, tree.contents, [])
}

/** Aliases that a full expansion would resolve, memoised by anchor: linear in the text, however big the bomb. */
function countAliases(conversion: Conversion, node: unknown, depth: number): number {
  if (depth > limits.depthMax) return 0
  if (isAlias(node)) {
    const target = conversion.anchors.get(node.source)
    if (target === undefined) return 1
    const cost = 1 + (conversion.aliasCosts.get(target) ?? Number.POSITIVE_INFINITY)
    if (cost > (conversion.costliest?.cost ?? 0)) conversion.costliest = { node, cost }
    return cost
  }
  const anchor = (node as { anchor?: string } | null)?.anchor
  if (anchor !== undefined) conversion.anchors.set(anchor, node as Node)
  let total = 0
  if (isMap(node)) {
    for (const pair of node.items) {
      total += countAliases(conversion, pair.key, depth + 1)
      total += countAliases(conversion, pair.value, depth + 1)
    }
  } else if (isSeq(node)) {
    for (const item of node.items) total += countAliases(conversion, item, depth + 1)
  }
  if (anchor !== undefined) conversion.aliasCosts.set(node as Node, total)
  return total
}

function convert(conversion: Conversion, node: unknown, path: Path): Json {
  if (path.length > limits.depthMax) {
    if (!conversion.isTooDeep) {
      conversion.isTooDeep = true
      const message = `the document is nested deeper than ${limits.depthMax} levels`
      conversion.report.add('YAML_TOO_DEEP', message, path, { hint: 'Flatten it.' })
    }
    return null
  }
  if (isAlias(node)) {
    const target = node.resolve(conversion.tree)
    if (target !== undefined) return convert(conversion, target, path)
    conversion.report.add('YAML_SYNTAX', `the alias \`*${node.source}\` has no anchor`, path, {
      hint: `Define \`&${node.source}\` before it is used.`,
    })
    return null
  }
  if (isMap(node)) return convertMap(conversion, node.items, path)
  if (isSeq(node)) return node.items.map((item, at) => convert(conversion, item, [...path, at]))
  if (!isScalar(node)) return null
  return convertScalar(conversion, node.value, path)
}

function convertScalar(conversion: Conversion, value: unknown, path: Path): Json {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  conversion.report.add('YAML_NOT_JSON', 'this value has no form in JSON', path, {
    hint: 'Use a text, a finite number, true, false or null.',
  })
  return null
}

function convertMap(conversion: Conversion, items: readonly Pair[], path: Path): Json {
  const result: Record<string, Json> = {}
  const seen = new Set<string>()
  const merged: Json[] = []
  for (const pair of items) {
    const key = isScalar(pair.key) ? pair.key.value : pair.key
    if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'boolean') {
      conversion.report.add('YAML_NOT_JSON', 'a key must be a text', path, {
        hint: 'Quote the key.',
      })
      continue
    }
    const name = String(key)
    const here = [...path, name]
    if (name === '<<' && isPlain(pair.key)) {
      const value = convert(conversion, pair.value, here)
      merged.push(...(Array.isArray(value) ? value : [value]))
    } else if (seen.has(name)) {
      reportDuplicate(conversion, pair, name, here)
    } else if (name === '__proto__') {
      const message = `the key \`${name}\` is not allowed: JavaScript gives it a meaning of its own`
      conversion.report.add('KEY_FORBIDDEN', message, here, {
        at: 'key',
        hint: 'Choose another name.',
      })
    } else {
      seen.add(name)
      result[name] = convert(conversion, pair.value, here)
    }
  }
  for (const defaults of merged) {
    if (typeof defaults !== 'object' || defaults === null || Array.isArray(defaults)) continue
    for (const [name, value] of Object.entries(defaults)) {
      if (!Object.hasOwn(result, name)) result[name] = value as Json
    }
  }
  return result
}

/** A merge key is written without quotes; a quoted one is a name like any other. */
function isPlain(key: unknown): boolean {
  return isScalar(key) && (key.type === undefined || key.type === 'PLAIN')
}

/** Placed by the second key's own node: a path leads to the first of the two. */
function reportDuplicate(conversion: Conversion, pair: Pair, name: string, path: Path): void {
  const before = conversion.report.source.place(path, 'key')
  const range = (pair.key as { range?: readonly number[] } | null)?.range
  const { file } = conversion.report.source
  conversion.report.push({
    code: 'YAML_DUPLICATE_KEY',
    message: `the key \`${name}\` is there twice${before ? `, first in line ${before.line}` : ''}`,
    severity: 'error',
    hint: 'Remove one of the two.',
    pointer: toPointer(path),
    ...(file === undefined ? {} : { file }),
    ...(range ? conversion.placeRange(range) : before),
  })
}

/** Pairs by key, made on first use: a map of many entries may have many findings. */
const indexes = new WeakMap<readonly Pair[], Map<string, Pair>>()

function indexOf(items: readonly Pair[]): Map<string, Pair> {
  let index = indexes.get(items)
  if (!index) {
    index = new Map()
    for (const pair of items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined
      if (key !== undefined && !index.has(key)) index.set(key, pair)
    }
    indexes.set(items, index)
  }
  return index
}

/** The pair of a map that holds `key`; where it came in by a merge key, the pair in the map that was merged. */
function pairOf(
  tree: Document<ParsedNode>,
  items: readonly Pair[],
  key: string,
  depth = 0,
): Pair | undefined {
  const own = indexOf(items).get(key)
  if (own || depth > limits.depthMax) return own
  for (const pair of items) {
    if (!isScalar(pair.key) || pair.key.value !== '<<') continue
    for (const source of isSeq(pair.value) ? pair.value.items : [pair.value]) {
      const merged = isAlias(source) ? source.resolve(tree) : source
      const found = isMap(merged) ? pairOf(tree, merged.items, key, depth + 1) : undefined
      if (found) return found
    }
  }
  return undefined
}

function place(
  text: string,
  starts: readonly number[],
  tree: Document<ParsedNode> | undefined,
  path: Path,
  at: 'key' | 'value' = 'value',
): Place | undefined {
  if (!tree) return undefined
  let node: unknown = tree.contents
  let marked: unknown = node
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(tree)
    let next: unknown
    if (isMap(node)) {
      const pair = pairOf(tree, node.items, String(step))
      if (!pair) break
      next = pair.value
      const isEmpty = next === null || (isScalar(next) && next.source === '')
      const wantsKey = depth === path.length - 1 && at === 'key'
      // A map or list below its key is marked by the key: its own first line says nothing about it.
      marked = wantsKey || isEmpty || isMap(next) || isSeq(next) ? pair.key : next
    } else if (isSeq(node)) {
      next = node.items[Number(step)]
      marked = next
    }
    if (next === undefined) break
    node = next
  }
  const range = (marked as { range?: readonly number[] | null } | null)?.range
  if (!range) return undefined
  return placeAt(text, range[0] as number, { end: range[1] as number, starts })
}
