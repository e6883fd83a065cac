import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** Every TypeScript block of README and guides, compiled against the built package as its reader's compiler would. */

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'treaty-snippets-'))

/** What a guide takes for granted: each name, declared in front of a block that uses it and does not say what it is. */
const granted: Readonly<Record<string, string>> = {
  openBus: `import { openBus } from 'treatyjs'`,
  createClient: `import { createClient } from 'treatyjs/http'`,
  createCallQueue: `import { createCallQueue } from 'treatyjs/http'`,
  openConnector: `import { openConnector } from 'treatyjs/http'`,
  readOpenApi: `import { readOpenApi } from 'treatyjs/http'`,
  bus: `declare const bus: import('treatyjs').Bus<import('./treaty.gen.ts').Contracts>`,
  contracts: 'declare const contracts: string',
  store: `declare const store: Awaited<ReturnType<typeof import('treatyjs').openStore>>`,
  pool: `declare const pool: import('pg').Pool`,
  database: `declare const database: import('node:sqlite').DatabaseSync`,
  orderId: 'declare const orderId: string',
  clientSecret: 'declare const clientSecret: string',
  orderSchema: 'declare const orderSchema: { type: string }',
  baseUrl: 'declare const baseUrl: string',
  auth: `declare const auth: NonNullable<Parameters<typeof import('treatyjs/http').createClient>[0]['auth']>`,
  document: 'declare const document: Record<string, never>',
  writeInvoice:
    'declare function writeInvoice(data: unknown, options: { signal: AbortSignal }): Promise<void>',
  keep: 'declare function keep(data: readonly unknown[]): Promise<readonly boolean[]>',
  capture: 'declare function capture(data: unknown): Promise<boolean>',
}

interface Block {
  /** File and line, for the reader of a failure. */
  readonly place: string
  readonly code: string
}

function blocksOf(path: string): Block[] {
  const text = readFileSync(join(root, path), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(({ 1: code = '', index }) => ({
    place: `${path}:${text.slice(0, index).split('\n').length}`,
    code,
  }))
}

const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs/guides')).map((name) => `docs/guides/${name}`),
]
const blocks = pages.filter((page) => page.endsWith('.md')).flatMap(blocksOf)

function moduleOf(code: string): string {
  const usual = code
    // An ellipsis on a line of its own stands for what the reader writes there.
    .replaceAll(/^\s*…\s*$/gm, '')
    // Files beside the reader's own.
    .replaceAll(/'\.{1,2}\/treaty\.gen\.js'/g, `'./treaty.gen.ts'`)
    // A handler that a configuration names is written without types.
    .replace(
      'handle({ json }, { signal })',
      'handle({ json }: { json: unknown }, { signal }: { signal: AbortSignal })',
    )
  const missing = Object.entries(granted).filter(([name]) => {
    const isUsed = new RegExp(`\\b${name}\\b`).test(usual)
    const isSaid = new RegExp(`(const|let|function|using) ${name}\\b|import .*\\b${name}\\b`).test(
      usual,
    )
    return isUsed && !isSaid
  })
  return `${missing.map(([, line]) => line).join('\n')}\n${usual}\nexport {}\n`
}

const generated = `type Order = { orderId: string; sequence?: number; total?: { amount: number; currency: string } }
export interface Contracts {
  events: {
    'order.placed': Order
    'order.paid': { orderId: string }
    'order.line.added': { orderId: string }
    'invoice.created': { orderId: string }
  }
  commands: {
    'payment.capture': { data: { orderId: string }; reply: { captured: boolean }; errors: Record<never, never> }
  }
  consumers: {
    billing: 'order.placed'
    archive: 'order.placed'
    audit: 'order.placed' | 'order.paid' | 'order.line.added'
  }
}
export interface Connectors { shop: any }
`
let printed = ''

beforeAll(() => {
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules', 'treatyjs'))
  for (const name of ['node', 'pg']) {
    symlinkSync(join(root, 'node_modules/@types', name), join(folder, 'node_modules/@types', name))
  }
  writeFileSync(join(folder, 'treaty.gen.ts'), generated)
  const compilerOptions = {
    strict: true,
    target: 'esnext',
    module: 'nodenext',
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ['node'],
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  for (const [at, { code }] of blocks.entries()) {
    writeFileSync(join(folder, `block-${at}.ts`), moduleOf(code))
  }
  const tsc = join(root, 'node_modules/.bin/tsc')
  printed = spawnSync(process.execPath, [tsc, '-p', folder], {
    cwd: folder,
    encoding: 'utf8',
  }).stdout
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each(blocks.map(({ place }, at) => [place, at] as const))('%s compiles', (_place, at) => {
  const own = printed.split('\n').filter((line) => line.startsWith(`block-${at}.ts`))

  expect(own.join('\n')).toBe('')
})

it('there are blocks, and nothing else is wrong', () => {
  expect(blocks.length).toBeGreaterThan(10)
  expect(printed.split('\n').filter((line) => line !== '' && !/^(block-|\s)/.test(line))).toEqual(
    [],
  )
})
