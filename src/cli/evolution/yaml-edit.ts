import { isMap, isScalar, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import { TreatyError } from '../../core/errors.ts'

/** Entries of one line, as they are written into a contract file. */
export type FlowEntry = Readonly<Record<string, string>>

/** A text put in place of a range of another. */
interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

function applied(text: string, { from, to, text: inserted }: Edit): string {
  return text.slice(0, from) + inserted + text.slice(to)
}

function mapOf(text: string): YAMLMap {
  const document = parseDocument(text, { version: '1.2', keepSourceTokens: true })
  if (isMap(document.contents) && document.errors.length === 0) return document.contents as YAMLMap
  throw new TreatyError('YAML_SYNTAX', 'the contract file is no YAML map', {
    hint: 'Run treaty check and mend what it lists.',
  })
}

const endOf = (node: unknown) => (node as { range?: readonly number[] } | null)?.range?.[1] ?? 0
const startOf = (node: unknown) => (node as { range?: readonly number[] } | null)?.range?.[0] ?? 0

/** A scalar as YAML takes it: plain where nothing could be misread. */
function scalar(value: string): string {
  const isPlain = /^[A-Za-z0-9][\w@./+-]*(?::[\w./+-]+)*$/.test(value) && !/^[\d.]+$/.test(value)
  const isKeyword = /^(?:true|false|null|yes|no|on|off|~)$/i.test(value)
  return isPlain && !isKeyword ? value : JSON.stringify(value)
}

const flow = (entry: FlowEntry) =>
  `{ ${Object.entries(entry)
    .map(([key, value]) => `${key}: ${scalar(value)}`)
    .join(', ')} }`

/** Indentation of the line that holds the offset. */
function indentAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  return /^[ \t]*/.exec(text.slice(start))?.[0] ?? ''
}

/** Offset of the end of the line that holds the offset, its comment included. */
function lineEnd(text: string, offset: number): number {
  const at = text.indexOf('\n', offset)
  return at === -1 ? text.length : at
}

/**
 * The text with `since` written into a consumer's entry, after its `accepts`; everything else stays byte for byte.
 * The text itself where the entry is not there or has one already.
 *
 * @throws YAML_SYNTAX
 */
export function withSince(text: string, consumer: string, since: string): string {
  const entry = mapOf(text).getIn(['consumers', consumer], true)
  if (!isMap(entry) || entry.has('since')) return text
  const value = `since: ${JSON.stringify(since).slice(1, -1)}`
  const pair =
    entry.items.find(({ key }) => isScalar(key) && key.value === 'accepts') ?? entry.items[0]
  if (pair === undefined) return text
  const isAfterAccepts = isScalar(pair.key) && pair.key.value === 'accepts'
  if (entry.flow === true) {
    const at = isAfterAccepts ? endOf(pair.value) : startOf(pair.key)
    const inserted = isAfterAccepts ? `, ${value}` : `${value}, `
    return applied(text, { from: at, to: at, text: inserted })
  }
  const indent = ' '.repeat(startOf(pair.key) - (text.lastIndexOf('\n', startOf(pair.key) - 1) + 1))
  const at = isAfterAccepts ? lineEnd(text, endOf(pair.value)) : startOf(pair.key)
  const inserted = isAfterAccepts ? `\n${indent}${value}` : `${value}\n${indent}`
  return applied(text, { from: at, to: at, text: inserted })
}

/**
 * The text with a review in its list `reviews`: in place of the one by the same consumer, else at the end. Comments and
 * everything else stay byte for byte.
 *
 * @throws YAML_SYNTAX
 */
export function withReview(text: string, review: FlowEntry): string {
  const root = mapOf(text)
  const reviews = root.get('reviews', true)
  if (!isSeq(reviews)) return withoutList(text, root, review)
  const earlier = reviews.items.find(
    (item) => isMap(item) && item.get('consumer') === review.consumer,
  )
  if (earlier !== undefined) {
    const [from, to] = [startOf(earlier), contentEnd(text, endOf(earlier))]
    return applied(text, { from, to, text: flow(review) })
  }
  return appended(text, reviews as YAMLSeq, review)
}

/** A block map's range ends at the beginning of the next line. */
function contentEnd(text: string, end: number): number {
  let at = end
  while (at > 0 && /\s/.test(text[at - 1] ?? '')) at -= 1
  return at
}

function withoutList(text: string, root: YAMLMap, review: FlowEntry): string {
  const written = root.items.find(({ key }) => isScalar(key) && key.value === 'reviews')
  if (root.flow === true) {
    throw new TreatyError('YAML_SYNTAX', 'the contract is written on one line', {
      hint: 'Write its keys on lines of their own.',
    })
  }
  if (written !== undefined) {
    const at = lineEnd(text, endOf(written.key))
    const [from, to] = [endOf(written.key), at]
    return applied(text, { from, to, text: `:\n  - ${flow(review)}` })
  }
  const ending = text === '' || text.endsWith('\n') ? '' : '\n'
  return `${text}${ending}reviews:\n  - ${flow(review)}\n`
}

function appended(text: string, reviews: YAMLSeq, review: FlowEntry): string {
  const last = reviews.items.at(-1)
  if (reviews.flow === true) {
    const at = last === undefined ? startOf(reviews) + 1 : endOf(last)
    const inserted = last === undefined ? flow(review) : `, ${flow(review)}`
    return applied(text, { from: at, to: at, text: inserted })
  }
  const indent = indentAt(text, startOf(last))
  const at = lineEnd(text, contentEnd(text, endOf(last)))
  return applied(text, { from: at, to: at, text: `\n${indent}- ${flow(review)}` })
}
