// Writes docs/errors.md, docs/reference/cli.md, docs/reference/contract.md and contracts/treaty.schema.json from the
// catalogue, the command table and the meta-schema. Tests keep them equal.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { contractMarkdown } from '../src/cli/contract-reference.ts'
import { cliMarkdown, errorsMarkdown, note } from '../src/cli/reference.ts'
import { metaSchema } from '../src/contracts/index.ts'

const docs = join(import.meta.dirname, '..', 'docs')
mkdirSync(join(docs, 'reference'), { recursive: true })
writeFileSync(join(docs, 'errors.md'), errorsMarkdown())
writeFileSync(join(docs, 'reference', 'cli.md'), cliMarkdown())
writeFileSync(join(docs, 'reference', 'contract.md'), contractMarkdown(note))
writeFileSync(
  join(docs, '..', 'contracts', 'treaty.schema.json'),
  `${JSON.stringify(metaSchema, null, 2)}\n`,
)
