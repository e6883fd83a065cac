import type { Place } from './source.ts'

const columnsMax = 120
const linesAround = 1

/** Offsets of the line starts of a text, the first line's included. */
export function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** Line and column, counted from 1, of an offset; binary search in the line starts. */
export function lineAndColumn(
  starts: readonly number[],
  offset: number,
): { line: number; column: number } {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] as number) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] as number) + 1 }
}

/** One line as it may be printed: control characters would reach the reader's terminal. */
function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced.
  return line.replaceAll('\t', ' ').replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '·')
}

/** The part of a long line around `column`, so that minified files give frames too. */
function clip(line: string, from: number): string {
  const part = line.slice(from, from + columnsMax)
  return `${from > 0 ? '…' : ''}${part}${from + columnsMax < line.length ? '…' : ''}`
}

/**
 * The place of `[offset, end)` in a text, with a frame in the manner of rustc: the reader's own lines,
 * the marked one with `>` and carets below.
 *
 * ```
 *   4 |   - name: total
 * > 5 |     type: decimel
 *     |           ^^^^^^^
 *   6 |     required: true
 * ```
 */
export function placeAt(
  text: string,
  offset: number,
  options: { readonly end?: number; readonly starts?: readonly number[] } = {},
): Place {
  const starts = options.starts ?? lineStarts(text)
  const { line, column } = lineAndColumn(starts, Math.min(offset, text.length))
  const lineText = (number: number): string => {
    const start = starts[number - 1] as number
    const end = starts[number] === undefined ? text.length : (starts[number] as number) - 1
    return text.slice(start, end).replace(/\r$/, '')
  }
  const from = column > columnsMax - 20 ? column - 41 : 0
  const last = Math.min(starts.length, line + linesAround)
  const width = String(last).length
  const rows: string[] = []
  for (let number = Math.max(1, line - linesAround); number <= last; number += 1) {
    const whole = lineText(number)
    // A neighbour that ends before the part that is shown would be a row with nothing but an ellipsis.
    if (number !== line && whole.length <= from && (from > 0 || number === last)) continue
    const shown = printable(clip(whole, from))
    rows.push(`${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${shown}`)
    if (number !== line) continue
    const available = Math.max(1, lineText(number).length - column + 1)
    const wanted = Math.max(1, Math.min((options.end ?? offset + 1) - offset, available, 60))
    const indent = column - 1 - from + (from > 0 ? 1 : 0)
    rows.push(`  ${' '.repeat(width)} | ${' '.repeat(indent)}${'^'.repeat(wanted)}`)
  }
  return { line, column, frame: rows.map((row) => row.trimEnd()).join('\n') }
}
