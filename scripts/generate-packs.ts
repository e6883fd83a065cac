// Writes the TypeScript types of the packs from their contracts: node scripts/generate-packs.ts
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateTypes, loadPack } from '../src/contracts/index.ts'

const target = join(import.meta.dirname, '..', 'src', 'packs', 'agent-platform.gen.ts')
writeFileSync(target, await generateTypes(loadPack('agent-platform')))
