/** The last line of a terminal, rewritten in place. On anything else it is silent. */
export interface StatusLine {
  /** Replaces the line. */
  show(text: string): void
  /** Takes the line away, so that other text can be written. */
  clear(): void
  /** Takes the line away for good. */
  close(): void
}

/** Where the line is drawn: standard error of the process, or a stand-in. */
export interface StatusTarget {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** Where a terminal does not say its width, or says 0. */
const columnsDefault = 80

const silent: StatusLine = { show() {}, clear() {}, close() {} }

/**
 * @param others Further ways to the same terminal. What handlers print on them, or on the target, finds the line taken away.
 */
export function createStatusLine(
  target: StatusTarget,
  isWanted: boolean,
  others: readonly StatusTarget[] = [],
): StatusLine {
  if (!isWanted || !target.isTTY) return silent
  let shown = ''
  const write = target.write.bind(target)
  const clear = () => {
    if (shown !== '') write('\r\u001b[2K')
    shown = ''
  }
  const shared = [target, ...others.filter((other) => other.isTTY)]
  const giveBack = shared.map((stream) => beforeWrites(stream, clear))
  return {
    show(text) {
      const cut = text.slice(0, (target.columns || columnsDefault) - 1)
      if (cut === shown) return
      write(`\r\u001b[2K${cut}`)
      shown = cut
    },
    clear,
    close() {
      clear()
      for (const back of giveBack) back()
    },
  }
}

/** Calls `before` ahead of each write; returns what undoes that. */
function beforeWrites(stream: StatusTarget, before: () => void): () => void {
  const { write } = stream
  stream.write = (...given) => {
    before()
    return write.apply(stream, given)
  }
  return () => {
    stream.write = write
  }
}
