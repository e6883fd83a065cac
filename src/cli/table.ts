import type { Style } from './style.ts'

/** Columns side by side, aligned to their widest cell; the header is dim. Empty without rows. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  style: Pick<Style, 'dim'>,
): string {
  if (rows.length === 0) return ''
  const widths = header.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    widths
      .map((width, at) => (cells[at] ?? '').padEnd(width))
      .join('  ')
      .trimEnd()
  return [style.dim(line(header)), ...rows.map(line)].join('\n')
}
