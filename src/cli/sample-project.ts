import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageOf, projectFiles } from './init/template.ts'

/** A fresh folder with the project that `treaty init` makes: for tests of commands. */
export function sampleProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-cli-'))
  const values = { name: 'shop', version: '0.0.0', extension: 'ts' } as const
  for (const [path, text] of projectFiles(values)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(packageOf(values)))
  return folder
}

/** Data of an order of the sample project. */
export function sampleOrder(orderId: string, amount = 100) {
  return { orderId, total: { amount, currency: 'EUR' } }
}
