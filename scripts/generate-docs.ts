// Writes docs/errors.md and docs/reference/cli.md from the catalogue and the command table. A test keeps them equal.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cliMarkdown, errorsMarkdown } from '../src/cli/reference.ts'

const docs = join(import.meta.dirname, '..', 'docs')
mkdirSync(join(docs, 'reference'), { recursive: true })
writeFileSync(join(docs, 'errors.md'), errorsMarkdown())
writeFileSync(join(docs, 'reference', 'cli.md'), cliMarkdown())
