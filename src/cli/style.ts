import { styleText } from 'node:util'

type Paint = (text: string) => string

/** How text looks on one stream: colours, symbols and width. Symbols always stand beside a word. */
export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
  readonly symbols: {
    readonly ok: string
    readonly fail: string
    readonly warn: string
    readonly skip: string
    readonly arrow: string
  }
  /** Characters in a line. */
  readonly width: number
}

export interface StyleOptions {
  readonly isTerminal: boolean
  readonly columns?: number | undefined
  readonly noColor: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Decides colour and symbols for one stream: `--no-color`, NO_COLOR, FORCE_COLOR, TERM=dumb and the locale count. */
export function createStyle(options: StyleOptions): Style {
  const { environment } = options
  const paint = (format: Parameters<typeof styleText>[0]): Paint =>
    useColor(options)
      ? (text) => styleText(format, text, { validateStream: false })
      : (text) => text
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG
  // Containers often set no locale at all, and their terminals read UTF-8 nevertheless.
  const unicode = !locale || /utf-?8/i.test(locale)
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    symbols: unicode
      ? { ok: '✓', fail: '✗', warn: '!', skip: '–', arrow: '→' }
      : { ok: '+', fail: 'x', warn: '!', skip: '-', arrow: '->' },
    width: Math.max(40, options.columns || 100),
  }
}

function useColor({ isTerminal, noColor, environment }: StyleOptions): boolean {
  if (noColor || environment.NO_COLOR) return false
  if (environment.FORCE_COLOR) return true
  return isTerminal && environment.TERM !== 'dumb'
}
