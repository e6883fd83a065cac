import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorCatalog } from '../core/errors.ts'
import { commandGroups, commandTable } from './command-table.ts'
import { cliMarkdown, errorsMarkdown } from './reference.ts'

const root = resolve(import.meta.dirname, '..', '..')
const codes = Object.keys(errorCatalog)
const advice = 'run node scripts/generate-docs.ts'

function productSource(): string {
  const folder = join(root, 'src')
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(
      (entry) => entry.isFile() && /\.ts$/.test(entry.name) && !/\.test(-d)?\.ts$/.test(entry.name),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/core/catalog/'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
}

describe('docs/errors.md', () => {
  const text = readFileSync(join(root, 'docs', 'errors.md'), 'utf8')

  it('has a heading for each code of the catalogue, and no other', () => {
    const headings = [...text.matchAll(/^## (\S+)$/gm)].map(([, heading]) => heading)

    expect(headings, advice).toEqual(codes.toSorted())
  })

  it('is what scripts/generate-docs.ts writes', () => {
    expect(text, advice).toBe(errorsMarkdown())
  })
})

describe('docs/reference/cli.md', () => {
  it('is what scripts/generate-docs.ts writes', () => {
    expect(readFileSync(join(root, 'docs', 'reference', 'cli.md'), 'utf8')).toBe(cliMarkdown())
  })

  it('shows every command, once', () => {
    expect(commandGroups.flatMap(([, names]) => names).toSorted()).toEqual(
      Object.keys(commandTable).toSorted(),
    )
  })
})

describe('the catalogue', () => {
  it('has no code that nothing raises', () => {
    const source = productSource()

    expect(codes.filter((code) => !source.includes(`'${code}'`))).toEqual([])
  })

  it('has every code that is raised as an error or a finding', () => {
    const raised = productSource().matchAll(
      /(?:new TreatyError\(\s*|\bcode: |report\.add\(\s*|\.add\(\s*)'([A-Z][A-Z0-9]*_[A-Z0-9_]+|[A-Z]{4,})'/g,
    )
    const unknown = [...raised]
      .map(([, code]) => code ?? '')
      .filter((code) => !codes.includes(code) && !code.startsWith('ERR_'))

    expect([...new Set(unknown)]).toEqual([])
  })

  it('says what it means and what to do in full sentences', () => {
    const short = Object.entries(errorCatalog).filter(
      ([, { meaning, fix }]) => !/^[A-Z].*[.:]$/s.test(meaning) || !/^[A-Z].*\.$/s.test(fix),
    )

    expect(short.map(([code]) => code)).toEqual([])
  })
})
