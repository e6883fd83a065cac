import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Parser } from '@asyncapi/parser'
import { describe, expect, it } from 'vitest'
import {
  applicationsOf,
  exportAsyncApi,
  importAsyncApi,
} from '../../src/contracts/asyncapi/index.ts'
import { isSubset } from '../../src/contracts/compat/index.ts'
import type { Contract } from '../../src/contracts/index.ts'
import { contractToSource, loadContractsSync, loadPack } from '../../src/contracts/index.ts'
import type { JsonObject } from '../../src/core/json.ts'

const shop = loadContractsSync(resolve(import.meta.dirname, '../fixtures/shop')).contracts
const odd = loadContractsSync(resolve(import.meta.dirname, '../fixtures/asyncapi')).contracts
const contracts: readonly (readonly [string, Contract])[] = [
  ...loadPack('agent-platform'),
  ...loadPack('a2a-v1'),
  ...shop,
  ...odd,
].map((contract) => [contract.id, contract])

/** Everything that the official parser has to say about a document. */
async function diagnosticsOf(document: JsonObject): Promise<string[]> {
  const { diagnostics } = await new Parser().parse(structuredClone(document) as never)
  return diagnostics.map(({ code, message, path }) => `${code} ${message} ${path.join('/')}`)
}

describe('an exported AsyncAPI document', () => {
  it('would be told apart from a wrong one', async () => {
    const { channels: _channels, ...wrong } = exportAsyncApi(contracts[0]?.[1] as Contract)
    expect((await diagnosticsOf(wrong)).length).toBeGreaterThan(0)
  })

  it.each(contracts)('of %s satisfies the official parser', async (_, contract) => {
    expect(await diagnosticsOf(exportAsyncApi(contract))).toEqual([])
  })

  it.each(contracts)('of each application of %s satisfies it too', async (_, contract) => {
    for (const application of applicationsOf(contract)) {
      expect(await diagnosticsOf(exportAsyncApi(contract, { application }))).toEqual([])
    }
  })
})

/** The document written to a file and read again. */
function reimported(document: JsonObject) {
  const file = join(mkdtempSync(join(tmpdir(), 'treaty-asyncapi-')), 'asyncapi.json')
  writeFileSync(file, JSON.stringify(document))
  return importAsyncApi(file)
}

describe('an AsyncAPI document that is imported again', () => {
  it.each(contracts)('gives %s as it was', (_, contract) => {
    const { contract: again, findings } = reimported(exportAsyncApi(contract))

    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(again && contractToSource(again)).toEqual(contractToSource(contract))
  })

  it.each(contracts)('means the same data as %s, proved both ways', (_, contract) => {
    const { contract: again } = reimported(exportAsyncApi(contract))
    const before = Object.values({ ...contract.events, ...contract.commands })
    const after = { ...again?.events, ...again?.commands }

    for (const { name, schema } of before) {
      const other = after[name]?.schema ?? false
      expect([name, isSubset(schema, other).verdict, isSubset(other, schema).verdict]).toEqual([
        name,
        'compatible',
        'compatible',
      ])
    }
  })
})
