import { resolve } from 'node:path'
import { Parser } from '@asyncapi/parser'
import { describe, expect, it } from 'vitest'
import { applicationsOf, exportAsyncApi } from '../../src/contracts/asyncapi/index.ts'
import type { Contract } from '../../src/contracts/index.ts'
import { loadContractsSync, loadPack } from '../../src/contracts/index.ts'
import type { JsonObject } from '../../src/core/json.ts'

const shop = loadContractsSync(resolve(import.meta.dirname, '../fixtures/shop')).contracts
const contracts: readonly (readonly [string, Contract])[] = [
  ...loadPack('agent-platform'),
  ...loadPack('a2a-v1'),
  ...shop,
].map((contract) => [contract.id, contract])

/** Everything that the official parser has to say about a document. */
async function diagnosticsOf(document: JsonObject): Promise<string[]> {
  const { diagnostics } = await new Parser().parse(structuredClone(document) as never)
  return diagnostics.map(({ code, message, path }) => `${code} ${message} ${path.join('/')}`)
}

describe('an exported AsyncAPI document', () => {
  it.each(contracts)('of %s satisfies the official parser', async (_, contract) => {
    expect(await diagnosticsOf(exportAsyncApi(contract))).toEqual([])
  })

  it.each(contracts)('of each application of %s satisfies it too', async (_, contract) => {
    for (const application of applicationsOf(contract)) {
      expect(await diagnosticsOf(exportAsyncApi(contract, { application }))).toEqual([])
    }
  })
})
