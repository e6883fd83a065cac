import type { CatalogEntry } from '../../core/catalog/entry.ts'
import { type ErrorCode, errorCatalog, TreatyError } from '../../core/errors.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import type { Style } from '../style.ts'
import { suggest } from '../suggest.ts'

type Explained = { readonly code: string } & CatalogEntry
type Data = Explained | { readonly codes: readonly { code: string; meaning: string }[] }

/** Prints the entry of a code, or all codes. */
export const explain: Command<CommandTable['explain'], Data> = {
  async run({ code }) {
    const codes = Object.keys(errorCatalog) as ErrorCode[]
    if (code === undefined) {
      const list = codes
        .toSorted()
        .map((name) => ({ code: name, meaning: errorCatalog[name].meaning }))
      const width = Math.max(...codes.map((name) => name.length))
      return {
        data: { codes: list },
        toText: (style) =>
          list
            .map((entry) => `${style.bold(entry.code.padEnd(width))}  ${entry.meaning}`)
            .join('\n'),
      }
    }
    const wanted = code.toUpperCase()
    const found = codes.find((name) => name === wanted)
    if (found === undefined) {
      throw new TreatyError('CODE_UNKNOWN', `there is no error code ${code}`, {
        hint: suggest(wanted, codes) ?? 'Run treaty explain for a list of all.',
      })
    }
    const data: Explained = { code: found, ...errorCatalog[found] }
    return { data, toText: (style) => entryText(data, style) }
  },
}

function entryText(entry: Explained, style: Style): string {
  const facts = `exit code ${entry.exitCode}, HTTP status ${entry.status}, ${
    entry.retryable ? 'may pass when tried again' : 'does not pass by trying again'
  }`
  const parts = [
    style.bold(entry.code),
    entry.meaning,
    `${style.bold('What to do')}  ${entry.fix}`,
    ...(entry.example === undefined
      ? []
      : [`${style.bold('Example')}\n${entry.example.replaceAll(/^/gm, '    ')}`]),
    style.dim(facts),
  ]
  return parts.join('\n\n')
}
