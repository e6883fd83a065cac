// Writes docs/errors.md, docs/reference/cli.md, docs/reference/contract.md and the schemas that contracts/ publishes from
// the catalogue, the command table and the meta-schema. Tests keep them equal.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { contractMarkdown } from '../src/cli/contract-reference.ts'
import { cliMarkdown, errorsMarkdown, note } from '../src/cli/reference.ts'
import { asyncApiExtensionSchema, metaSchema } from '../src/contracts/index.ts'

const docs = join(import.meta.dirname, '..', 'docs')
mkdirSync(join(docs, 'reference'), { recursive: true })
writeFileSync(join(docs, 'errors.md'), errorsMarkdown())
writeFileSync(join(docs, 'reference', 'cli.md'), cliMarkdown())
writeFileSync(join(docs, 'reference', 'contract.md'), contractMarkdown(note))
const published = {
  'treaty.schema.json': metaSchema,
  'asyncapi-extensions.schema.json': asyncApiExtensionSchema(),
}
for (const [name, schema] of Object.entries(published)) {
  writeFileSync(join(docs, '..', 'contracts', name), `${JSON.stringify(schema, null, 2)}\n`)
}
