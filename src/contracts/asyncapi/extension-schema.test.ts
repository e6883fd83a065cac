import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadContractsSync } from '../loader.ts'
import { loadPack } from '../pack.ts'
import { compileSchema } from '../schema/validator.ts'
import { exportAsyncApi } from './export.ts'
import { asyncApiExtensionSchema } from './extension-schema.ts'
import { applicationsOf } from './operations.ts'

const root = join(import.meta.dirname, '../../..')
const contracts = [
  ...loadPack('agent-platform'),
  ...loadPack('a2a-v1'),
  ...loadContractsSync(join(root, 'test/fixtures/shop')).contracts,
  ...loadContractsSync(join(root, 'test/fixtures/asyncapi')).contracts,
]

describe('the schema of the extensions', () => {
  const compiled = compileSchema(asyncApiExtensionSchema())

  it('is the one that is published', () => {
    const file = join(root, 'contracts/asyncapi-extensions.schema.json')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(asyncApiExtensionSchema())
  })

  it.each(contracts.map((contract) => [contract.id, contract] as const))(
    'describes the export of %s and of each of its applications',
    (_, contract) => {
      const parts = applicationsOf(contract).map((application) => ({ application }))
      for (const options of [{}, ...parts]) {
        const document = exportAsyncApi(contract, options)
        expect(compiled.check(document) ? [] : compiled.errors(document)).toEqual([])
      }
    },
  )

  it('refuses an unknown key', () => {
    const document = { ...exportAsyncApi(contracts[0] as (typeof contracts)[0]) }
    expect(compiled.check({ ...document, 'x-treaty-contract': { id: 'a', odd: 1 } })).toBe(false)
  })
})
