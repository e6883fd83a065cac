/** The last line of a terminal, rewritten in place. On anything else it is silent. */
export interface StatusLine {
  /** Replaces the line. */
  show(text: string): void
  /** Takes the line away, so that other text can be written. */
  clear(): void
}

/** Where the line is drawn: standard error of the process, or a stand-in. */
export interface StatusTarget {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** Where a terminal does not say its width, or says 0. */
const columnsDefault = 80

const silent: StatusLine = { show() {}, clear() {} }

export function createStatusLine(target: StatusTarget, isWanted: boolean): StatusLine {
  if (!isWanted || !target.isTTY) return silent
  let shown = ''
  return {
    show(text) {
      const cut = text.slice(0, (target.columns || columnsDefault) - 1)
      if (cut === shown) return
      target.write(`\r\u001b[2K${cut}`)
      shown = cut
    },
    clear() {
      if (shown !== '') target.write('\r\u001b[2K')
      shown = ''
    },
  }
}
